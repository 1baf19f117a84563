"""kubeconfig files: finding the cluster and the user of a context, and adding or removing a lab's context.

Files are merged as kubectl does (the first that names a thing wins). Edits change one file, keep everything that others wrote
there and its mode, and are atomic.
"""

from __future__ import annotations

import base64
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.errors import LabctlError, UsageError

if TYPE_CHECKING:
    from labctl.client.http import HttpApi

_LISTS = ("clusters", "users", "contexts")


@dataclass(frozen=True, slots=True)
class Target:
    """What a context leads to: a server, how to trust it, who we are, and the namespace."""

    server: str
    ca_certificate: str = ""
    verify: bool = True
    token: str = ""
    client_certificate: str = ""
    client_key: str = ""
    namespace: str = "default"
    context: str = ""

    def api(self, *, user_agent: str = "labctl") -> HttpApi:
        """An API client for it. Client certificates are kept as files for as long as the process lives."""
        from labctl.client.http import HttpApi

        pair = None
        if self.client_certificate:
            folder = Path(tempfile.mkdtemp(prefix="labctl-"))
            pair = (str(folder / "tls.crt"), str(folder / "tls.key"))
            for path, text in zip(pair, (self.client_certificate, self.client_key), strict=True):
                Path(path).write_text(text)
                Path(path).chmod(0o600)
        return HttpApi(
            self.server,
            token=self.token,
            ca_certificate=self.ca_certificate,
            client_certificate=pair,
            verify=self.verify,
            user_agent=user_agent,
        )


def paths() -> list[Path]:
    """The kubeconfig files, as $KUBECONFIG or the home folder say."""
    listed = [Path(p) for p in os.environ.get("KUBECONFIG", "").split(os.pathsep) if p]
    return listed or [Path.home() / ".kube" / "config"]


def load(context: str = "") -> Target:
    """The target of a context (the current one by default). Raises UsageError."""
    files = [_read(p) for p in paths()]
    name = context or next((f["current-context"] for f in files if f.get("current-context")), "")
    if not name:
        raise UsageError(
            "no context is chosen in the kubeconfig", hint="'labctl up' starts a lab and chooses its context"
        )
    found = _named(files, "contexts", name)
    if found is None:
        raise UsageError(f'context "{name}" does not exist', hint="'labctl up' starts a lab")
    details = found.get("context") or {}
    cluster = (_named(files, "clusters", details.get("cluster", "")) or {}).get("cluster") or {}
    user = (_named(files, "users", details.get("user", "")) or {}).get("user") or {}
    if not cluster.get("server"):
        raise UsageError(f'context "{name}" has no cluster with a server')
    if user.get("exec") or user.get("auth-provider"):
        raise UsageError(
            f'context "{name}" logs in through a plugin', hint="labctl does not run those: use kubectl for it"
        )
    return Target(
        cluster["server"],
        _text(cluster, "certificate-authority"),
        not cluster.get("insecure-skip-tls-verify"),
        user.get("token") or _from_file(user.get("tokenFile")).strip(),
        _text(user, "client-certificate"),
        _text(user, "client-key"),
        details.get("namespace") or "default",
        name,
    )


def has_context(name: str) -> bool:
    """Whether any of the files has this context."""
    return _named([_read(p) for p in paths()], "contexts", name) is not None


def add_context(name: str, *, server: str, ca_certificate: str, token: str, path: Path | None = None) -> str:
    """Add or renew a context of this name and make it current; returns the one that was current before.

    In the file at `path`, or in the first of those that kubectl reads.
    """
    path = path or paths()[0]
    config = _read(path)
    previous = str(config.get("current-context") or "")
    authority = base64.b64encode(ca_certificate.encode()).decode()
    _put(config, "clusters", name, "cluster", {"server": server, "certificate-authority-data": authority})
    _put(config, "users", name, "user", {"token": token})
    _put(config, "contexts", name, "context", {"cluster": name, "user": name})
    config["current-context"] = name
    _write(path, config)
    return previous


def remove_context(name: str, *, previous: str = "", path: Path | None = None) -> None:
    """Take a context out again (of the file at `path`, or of all); if it is current, the previous one becomes current."""
    for file in [path] if path else paths():
        config = _read(file)
        known = any(e.get("name") == name for kind in _LISTS for e in config.get(kind) or ())
        if not known and config.get("current-context") != name:
            continue
        for kind in _LISTS:
            if kind in config:
                config[kind] = [e for e in config[kind] or () if e.get("name") != name]
        if config.get("current-context") == name:
            kept = {e.get("name") for e in config.get("contexts") or ()}
            config["current-context"] = previous if previous in kept else ""
        _write(file, config)


def _put(config: dict[str, Any], kind: str, name: str, key: str, value: dict[str, str]) -> None:
    entries = [e for e in config.get(kind) or () if e.get("name") != name]
    config[kind] = [*entries, {"name": name, key: value}]


def _named(files: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any] | None:
    return next((e for f in files for e in f.get(kind) or () if e.get("name") == name), None)


def _read(path: Path) -> dict[str, Any]:
    import yaml  # 20 ms: only where a kubeconfig is really read

    try:
        data = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # safe
    except FileNotFoundError:
        return {"apiVersion": "v1", "kind": "Config"}
    except OSError as error:
        raise LabctlError(f"{path} cannot be read: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        where = f" line {error.problem_mark.line + 1}:" if error.problem_mark else ""
        raise LabctlError(f"{path} is no kubeconfig:{where} {error.problem}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LabctlError(f"{path} is no kubeconfig: it is not text") from error
    if not isinstance(data, dict | None) or not all(_is_list(data or {}, kind) for kind in _LISTS):
        raise LabctlError(f"{path} is no kubeconfig: clusters, users and contexts are lists of things with a name")
    return {"apiVersion": "v1", "kind": "Config", **(data or {})}


def _is_list(data: dict[str, Any], kind: str) -> bool:
    entries = data.get(kind)
    return entries is None or (isinstance(entries, list) and all(_is_entry(e, kind) for e in entries))


def _is_entry(entry: Any, kind: str) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get(kind.removesuffix("s")), dict | None)


def _text(entry: dict[str, Any], name: str) -> str:
    data = entry.get(f"{name}-data")
    if not data:
        return _from_file(entry.get(name))
    try:
        return base64.b64decode(data, validate=True).decode()
    except ValueError as error:
        raise LabctlError(f"{name}-data of the kubeconfig is no base64 text") from error


def _from_file(path: str | None) -> str:
    if not path:
        return ""
    try:
        return Path(path).expanduser().read_text()
    except OSError as error:
        raise LabctlError(f"{path}, named in the kubeconfig, cannot be read: {error.strerror}") from error


def _write(path: Path, config: dict[str, Any]) -> None:
    import yaml

    temporary = None
    try:
        target = path.resolve()  # a link stays a link
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=".config-")
        with os.fdopen(descriptor, "w") as file:
            yaml.safe_dump(config, file, sort_keys=False)
        Path(temporary).chmod(mode)
        Path(temporary).replace(target)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise LabctlError(f"{path} cannot be written: {error.strerror}") from error
