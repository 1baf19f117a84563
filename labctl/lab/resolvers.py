"""Which resolvers a lab's DNS asks for names outside the cluster. Pure, but for `of_host`.

A lab asks nobody unless told so. A resolver on a loopback address, as systemd-resolved, dnsmasq and VPN clients put it into
/etc/resolv.conf, can be asked from this machine only: in a pod the same address is the pod itself.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from pathlib import Path

from labctl.errors import UsageError

HOST = "host"
"""The word for: whatever this machine asks itself."""
NONE = "none"
"""The word for: nobody, also in a lab that had somebody to ask."""

# In this order: the second one names the servers behind systemd-resolved's stub on 127.0.0.53.
_FILES = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))


def nameservers(text: str) -> list[str]:
    """The servers that a resolv.conf names."""
    words = (line.split() for line in text.splitlines())
    return [w[1] for w in words if len(w) > 1 and w[0] == "nameserver"]


def of_host(files: Iterable[Path] = _FILES) -> list[str]:
    """This machine's own resolvers that others can ask too. Raises UsageError when there is none."""
    seen: list[str] = []
    for file in files:
        found = nameservers(file.read_text()) if file.is_file() else []
        if usable := [server for server in found if not _is_loopback(server)]:
            return usable
        seen += found
    what = f"only {', '.join(dict.fromkeys(seen))}, which answers nobody but this machine" if seen else "none"
    raise UsageError(
        f"--dns-upstream {HOST}: this machine's resolv.conf names {what}",
        hint="name the server behind it: labctl up --dns-upstream ADDRESS",
    )


def checked(asked: Sequence[str]) -> tuple[str, ...]:
    """Servers as CoreDNS takes them, from `ADDRESS`, `ADDRESS:PORT` or `host`; nobody for `none`. Raises UsageError."""
    if tuple(asked) == (NONE,):
        return ()
    found = [server for text in asked for server in (of_host() if text == HOST else [_checked(text)])]
    return tuple(dict.fromkeys(found))


def _checked(text: str) -> str:
    try:
        loopback = _is_loopback(text)
    except ValueError:
        raise UsageError(
            f'--dns-upstream "{text}" is no address', hint=f"such as 1.1.1.1, 1.1.1.1:53 or {HOST}"
        ) from None
    if loopback:
        raise UsageError(
            f"--dns-upstream {text} is this machine's own loopback, where a pod finds only itself",
            hint=f"'--dns-upstream {HOST}' takes the servers behind it",
        )
    return text


def _is_loopback(text: str) -> bool:
    """Raises ValueError for what is neither an address nor one with a port."""
    address, port = text, "53"
    if text.startswith("["):
        address, _, port = text[1:].partition("]:")
        address, port = address.removesuffix("]"), port or "53"
    elif text.count(":") == 1:
        address, _, port = text.partition(":")
    if not (port.isdecimal() and 0 < int(port) < 1 << 16):
        raise ValueError(text)
    return ipaddress.ip_address(address.split("%")[0]).is_loopback
