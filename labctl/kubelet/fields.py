"""fieldRef and resourceFieldRef: what a pod may learn about itself (the downward API). Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from labctl.api import quantities
from labctl.api.objects import Object

_SUBSCRIPT = re.compile(r"(metadata\.(?:labels|annotations))\['(.*)'\]")


@dataclass(frozen=True, slots=True)
class Identity:
    """What is known of a pod only when it runs: its own addresses and its node's, and the node's capacity."""

    pod_ips: tuple[str, ...] = ()
    host_ips: tuple[str, ...] = ()
    cpus: int = 1
    memory_bytes: int = 0


def field_value(pod: Object, path: str, identity: Identity) -> str:
    """The value of a fieldPath. Raises ValueError for a path Kubernetes does not know."""
    meta, spec = pod["metadata"], pod["spec"]
    simple = {
        "metadata.name": meta.get("name"),
        "metadata.namespace": meta.get("namespace"),
        "metadata.uid": meta.get("uid"),
        "spec.nodeName": spec.get("nodeName"),
        "spec.serviceAccountName": spec.get("serviceAccountName"),
        "status.hostIP": next(iter(identity.host_ips), ""),
        "status.hostIPs": ",".join(identity.host_ips),
        "status.podIP": next(iter(identity.pod_ips), ""),
        "status.podIPs": ",".join(identity.pod_ips),
    }
    if path in simple:
        return simple[path] or ""
    if path in ("metadata.labels", "metadata.annotations"):
        return _format_map(meta.get(path.partition(".")[2]) or {})
    if match := _SUBSCRIPT.fullmatch(path):
        return str((meta.get(match[1].partition(".")[2]) or {}).get(match[2], ""))
    raise ValueError(f"unsupported fieldPath: {path}")


def _format_map(values: Mapping[str, str]) -> str:
    return "\n".join(f'{key}="{_quoted(value)}"' for key, value in sorted(values.items()))


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")


def resource_value(reference: Mapping[str, Any], container: Object, identity: Identity) -> str:
    """The value of a resourceFieldRef: in units of the divisor, rounded up; no limit means the node's capacity."""
    section, _, resource = str(reference["resource"]).partition(".")
    resources = container.get("resources") or {}
    text = (resources.get(section) or {}).get(resource)
    if text is None and section == "limits":
        text = {"cpu": str(identity.cpus), "memory": str(identity.memory_bytes)}.get(resource)
    amount = quantities.parse(str(text or "0")).amount
    divisor = quantities.parse(str(reference.get("divisor") or "0")).amount or Decimal(1)
    return str(math.ceil(amount / divisor))


def container_named(pod: Object, name: str) -> Object | None:
    """A container of the pod, init and ephemeral ones included."""
    return next((c for c in all_containers(pod) if c["name"] == name), None)


def all_containers(pod: Object) -> Sequence[Object]:
    """Init, app and ephemeral containers in this order."""
    spec = pod["spec"]
    return [*spec.get("initContainers", ()), *spec["containers"], *spec.get("ephemeralContainers", ())]
