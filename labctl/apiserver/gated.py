"""What a client may send and nobody keeps: fields behind feature gates that Kubernetes 1.36 has off, or keeps in part."""

from __future__ import annotations

from labctl.api import kinds
from labctl.api.kinds import Kind
from labctl.api.objects import Object

_TEMPLATED = (kinds.DEPLOYMENT, kinds.REPLICA_SET, kinds.REPLICATION_CONTROLLER)
_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")


def drop(kind: Kind, obj: Object) -> None:
    """Leave such fields out, in place."""
    if kind is kinds.POD:
        _of_pods(obj.get("spec") or {})
    elif kind in _TEMPLATED:
        _of_pods(((obj.get("spec") or {}).get("template") or {}).get("spec") or {})
    elif kind is kinds.POD_TEMPLATE:
        _of_pods((obj.get("template") or {}).get("spec") or {})
    elif kind is kinds.LEASE:
        for name in ("strategy", "preferredHolder"):
            (obj.get("spec") or {}).pop(name, None)
    elif kind is kinds.SERVICE_ACCOUNT and obj.get("secrets"):
        obj["secrets"] = [{"name": s["name"]} if s.get("name") else {} for s in obj["secrets"]]
    elif kind is kinds.ENDPOINT_SLICE:
        for endpoint in obj.get("endpoints") or ():
            endpoint.pop("deprecatedTopology", None)


def _of_pods(spec: Object) -> None:
    spec.pop("schedulingGroup", None)
    for group in _CONTAINERS:
        for container in spec.get(group) or ():
            if (hooks := container.get("lifecycle")) is not None:
                hooks.pop("stopSignal", None)
    for volume in spec.get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            for name in ("clusterTrustBundle", "podCertificate"):
                source.pop(name, None)
