"""The proxy mode of a cluster: iptables or nftables, in ConfigMap kube-proxy of kube-system, where kubeadm keeps it.

The nodes follow the ConfigMap, so that the mode of a running lab changes without a container being made anew, which would cut
every connection. Pure.
"""

from __future__ import annotations

import re
from typing import Literal, cast

from labctl.api.objects import Object

NAMESPACE, NAME, KEY = "kube-system", "kube-proxy", "config.conf"
Mode = Literal["iptables", "nftables"]
MODES: tuple[Mode, ...] = ("iptables", "nftables")

# The file is YAML of one level as written below; a parser would be the largest module of the node agent.
_MODE = re.compile(r"""^mode:[ \t]*["']?([^"'\s#]*)""", re.MULTILINE)
_HEAD = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"


class UnknownMode(ValueError):
    """The ConfigMap asks for a mode that there is not."""


def config_map(mode: Mode) -> Object:
    """The ConfigMap that says so."""
    meta = {"name": NAME, "namespace": NAMESPACE, "labels": {"app": NAME}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {KEY: f"{_HEAD}mode: {mode}\n"}}


def mode_of(configured: Object | None, default: Mode) -> Mode:
    """The mode that a ConfigMap asks for; `default` where it says nothing. Raises UnknownMode."""
    text = ((configured or {}).get("data") or {}).get(KEY) or ""
    found = _MODE.search(text)
    wanted = found[1] if found else ""
    if wanted and wanted not in MODES:
        raise UnknownMode(f'mode "{wanted}" in ConfigMap {NAMESPACE}/{NAME} is none of {", ".join(MODES)}')
    return cast(Mode, wanted or default)


def changed(configured: Object, mode: Mode) -> Object:
    """The ConfigMap with another mode; all else in it stays."""
    text = (configured.get("data") or {}).get(KEY) or _HEAD
    line = f"mode: {mode}"
    text = re.sub(r"(?m)^mode:.*$", line, text) if _MODE.search(text) else f"{text.rstrip()}\n{line}\n"
    return {**configured, "data": {**(configured.get("data") or {}), KEY: text}}
