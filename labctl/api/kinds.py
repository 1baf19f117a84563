"""The kinds labctl serves: the one table that routes, discovery, REST mapping and printers read."""

from __future__ import annotations

from dataclasses import dataclass

from labctl.api.objects import Object, split_api_version

_CRUD = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Kind:
    """One resource: `group` is empty for core, `resource` is the lower-case plural of URLs."""

    group: str
    version: str
    kind: str
    resource: str
    singular: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = _CRUD
    subresources: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """`v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_resource(self) -> str:
        """`services`, `deployments.apps`: the name used in error messages."""
        return f"{self.resource}.{self.group}" if self.group else self.resource

    def __str__(self) -> str:
        return self.group_resource


NAMESPACE = Kind(
    "",
    "v1",
    "Namespace",
    "namespaces",
    "namespace",
    False,
    ("ns",),
    subresources=("finalize", "status"),
    verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
)
NODE = Kind("", "v1", "Node", "nodes", "node", False, ("no",), subresources=("proxy", "status"))
POD = Kind(
    "",
    "v1",
    "Pod",
    "pods",
    "pod",
    True,
    ("po",),
    ("all",),
    subresources=(
        "attach",
        "binding",
        "ephemeralcontainers",
        "eviction",
        "exec",
        "log",
        "portforward",
        "proxy",
        "status",
    ),
)
SERVICE = Kind("", "v1", "Service", "services", "service", True, ("svc",), ("all",), subresources=("proxy", "status"))
ENDPOINTS = Kind("", "v1", "Endpoints", "endpoints", "endpoints", True, ("ep",))
CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps", "configmap", True, ("cm",))
SECRET = Kind("", "v1", "Secret", "secrets", "secret")
SERVICE_ACCOUNT = Kind(
    "", "v1", "ServiceAccount", "serviceaccounts", "serviceaccount", True, ("sa",), subresources=("token",)
)
EVENT = Kind("", "v1", "Event", "events", "event", True, ("ev",))
DEPLOYMENT = Kind(
    "apps",
    "v1",
    "Deployment",
    "deployments",
    "deployment",
    True,
    ("deploy",),
    ("all",),
    subresources=("scale", "status"),
)
REPLICA_SET = Kind(
    "apps",
    "v1",
    "ReplicaSet",
    "replicasets",
    "replicaset",
    True,
    ("rs",),
    ("all",),
    subresources=("scale", "status"),
)
ENDPOINT_SLICE = Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", "endpointslice")
LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases", "lease")
NETWORK_POLICY = Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", "networkpolicy", True, ("netpol",))

KINDS: tuple[Kind, ...] = (
    CONFIG_MAP,
    ENDPOINTS,
    EVENT,
    NAMESPACE,
    NODE,
    POD,
    SECRET,
    SERVICE_ACCOUNT,
    SERVICE,
    DEPLOYMENT,
    REPLICA_SET,
    LEASE,
    ENDPOINT_SLICE,
    NETWORK_POLICY,
)

_BY_GVK = {(k.group, k.version, k.kind): k for k in KINDS}
_BY_GVR = {(k.group, k.version, k.resource): k for k in KINDS}


def by_gvk(group: str, version: str, kind: str) -> Kind | None:
    """The kind served as group, version, Kind."""
    return _BY_GVK.get((group, version, kind))


def by_gvr(group: str, version: str, resource: str) -> Kind | None:
    """The kind served under group, version and plural resource name."""
    return _BY_GVR.get((group, version, resource))


def of(obj: Object) -> Kind | None:
    """The kind of an object, from its apiVersion and kind."""
    group, version = split_api_version(obj.get("apiVersion") or "")
    return by_gvk(group, version, obj.get("kind") or "")
