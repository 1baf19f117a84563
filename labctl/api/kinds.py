"""The kinds labctl serves: the one table that routes, discovery, REST mapping, schemas and printers read.

Order is the real server's: core first, then the groups as `/apis` lists them, within a group by resource name.
A kind that is stored and validated but that nothing in a lab acts upon says so in `inert`, and every write of it
is answered with that sentence as a Warning.
"""

from __future__ import annotations

from dataclasses import dataclass

from labctl.api.objects import Object, split_api_version

_CRUD = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_NO_COLLECTION_DELETE = ("create", "delete", "get", "list", "patch", "update", "watch")
_ASK = ("create",)  # reviews: answered, never stored
_NEVER_MADE = ("delete", "deletecollection", "get", "list", "watch")  # see Kind.is_absent


@dataclass(frozen=True, slots=True)
class Kind:
    """One resource: `group` is empty for core, `resource` is the lower-case plural of URLs.

    `resource` is empty for types that only occur as the body of a subresource (Scale, Eviction, TokenRequest).
    `stored_as` names the group and version that holds the objects when that is another one of the same objects
    (events.k8s.io Events are core Events, autoscaling/v1 autoscalers are autoscaling/v2 ones).
    """

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
    inert: str = ""
    stored_as: tuple[str, str] | None = None

    @property
    def api_version(self) -> str:
        """`v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_resource(self) -> str:
        """`services`, `deployments.apps`: the name used in error messages."""
        return f"{self.resource}.{self.group}" if self.group else self.resource

    @property
    def is_stored(self) -> bool:
        """Whether objects of the kind exist at all: reviews and bindings are only asked."""
        return "get" in self.verbs

    @property
    def is_absent(self) -> bool:
        """Whether the kind can be listed and never created: clients look through such kinds and stop where one is missing.

        kubectl apply --prune does (k8s.io/kubectl/pkg/util/prune), as do dashboards.
        """
        return self.verbs == _NEVER_MADE

    def __str__(self) -> str:
        return self.group_resource


def _core(
    kind: str,
    resource: str,
    *short: str,
    namespaced: bool = True,
    categories: tuple[str, ...] = (),
    verbs: tuple[str, ...] = _CRUD,
    sub: tuple[str, ...] = (),
    inert: str = "",
) -> Kind:
    singular = kind.lower()
    return Kind("", "v1", kind, resource, singular, namespaced, short, categories, verbs, sub, inert)


def _in(
    api_version: str,
    kind: str,
    resource: str,
    *short: str,
    namespaced: bool = True,
    categories: tuple[str, ...] = (),
    verbs: tuple[str, ...] = _CRUD,
    sub: tuple[str, ...] = (),
    inert: str = "",
    stored_as: tuple[str, str] | None = None,
) -> Kind:
    group, version = split_api_version(api_version)
    return Kind(
        group, version, kind, resource, kind.lower(), namespaced, short, categories, verbs, sub, inert, stored_as
    )


def _inert(kind: str, why: str) -> str:
    return f"labctl stores {kind} objects but does not act on them: {why}"


BINDING = _core("Binding", "bindings", verbs=_ASK)
CONFIG_MAP = _core("ConfigMap", "configmaps", "cm")
ENDPOINTS = _core("Endpoints", "endpoints", "ep")
EVENT = _core("Event", "events", "ev")
LIMIT_RANGE = _core(
    "LimitRange", "limitranges", "limits", inert=_inert("LimitRange", "pods get no defaults or limits from it")
)
NAMESPACE = _core(
    "Namespace", "namespaces", "ns", namespaced=False, verbs=_NO_COLLECTION_DELETE, sub=("finalize", "status")
)
NODE = _core("Node", "nodes", "no", namespaced=False, sub=("proxy", "status"))
PERSISTENT_VOLUME_CLAIM = _core("PersistentVolumeClaim", "persistentvolumeclaims", "pvc", verbs=_NEVER_MADE)
PERSISTENT_VOLUME = _core("PersistentVolume", "persistentvolumes", "pv", namespaced=False, verbs=_NEVER_MADE)
_POD_SUBRESOURCES = (
    "attach",
    "binding",
    "ephemeralcontainers",
    "eviction",
    "exec",
    "log",
    "portforward",
    "proxy",
    "status",
)
POD = _core("Pod", "pods", "po", categories=("all",), sub=_POD_SUBRESOURCES)
POD_TEMPLATE = _core("PodTemplate", "podtemplates")
REPLICATION_CONTROLLER = _core(
    "ReplicationController", "replicationcontrollers", "rc", categories=("all",), sub=("scale", "status")
)
RESOURCE_QUOTA = _core(
    "ResourceQuota",
    "resourcequotas",
    "quota",
    sub=("status",),
    inert=_inert("ResourceQuota", "nothing is counted or refused"),
)
SECRET = _core("Secret", "secrets")
SERVICE_ACCOUNT = _core("ServiceAccount", "serviceaccounts", "sa", sub=("token",))
SERVICE = _core("Service", "services", "svc", categories=("all",), sub=("proxy", "status"))

DAEMON_SET = _in("apps/v1", "DaemonSet", "daemonsets", "ds", categories=("all",), verbs=_NEVER_MADE)
DEPLOYMENT = _in("apps/v1", "Deployment", "deployments", "deploy", categories=("all",), sub=("scale", "status"))
REPLICA_SET = _in("apps/v1", "ReplicaSet", "replicasets", "rs", categories=("all",), sub=("scale", "status"))
STATEFUL_SET = _in("apps/v1", "StatefulSet", "statefulsets", "sts", categories=("all",), verbs=_NEVER_MADE)

EVENTS_EVENT = _in("events.k8s.io/v1", "Event", "events", "ev", stored_as=("", "v1"))

SELF_SUBJECT_REVIEW = _in(
    "authentication.k8s.io/v1", "SelfSubjectReview", "selfsubjectreviews", namespaced=False, verbs=_ASK
)
TOKEN_REVIEW = _in("authentication.k8s.io/v1", "TokenReview", "tokenreviews", namespaced=False, verbs=_ASK)

LOCAL_SUBJECT_ACCESS_REVIEW = _in(
    "authorization.k8s.io/v1", "LocalSubjectAccessReview", "localsubjectaccessreviews", verbs=_ASK
)
SELF_SUBJECT_ACCESS_REVIEW = _in(
    "authorization.k8s.io/v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", namespaced=False, verbs=_ASK
)
SELF_SUBJECT_RULES_REVIEW = _in(
    "authorization.k8s.io/v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", namespaced=False, verbs=_ASK
)
SUBJECT_ACCESS_REVIEW = _in(
    "authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews", namespaced=False, verbs=_ASK
)

_HPA_INERT = _inert("HorizontalPodAutoscaler", "there are no metrics, so nothing is scaled")
HORIZONTAL_POD_AUTOSCALER = _in(
    "autoscaling/v2",
    "HorizontalPodAutoscaler",
    "horizontalpodautoscalers",
    "hpa",
    categories=("all",),
    sub=("status",),
    inert=_HPA_INERT,
)
HORIZONTAL_POD_AUTOSCALER_V1 = _in(
    "autoscaling/v1",
    "HorizontalPodAutoscaler",
    "horizontalpodautoscalers",
    "hpa",
    categories=("all",),
    sub=("status",),
    inert=_HPA_INERT,
    stored_as=("autoscaling", "v2"),
)

CRON_JOB = _in("batch/v1", "CronJob", "cronjobs", "cj", categories=("all",), verbs=_NEVER_MADE)
JOB = _in("batch/v1", "Job", "jobs", categories=("all",), verbs=_NEVER_MADE)

_NETWORKING = "networking.k8s.io/v1"
INGRESS_CLASS = _in(
    _NETWORKING,
    "IngressClass",
    "ingressclasses",
    namespaced=False,
    inert=_inert("IngressClass", "there is no ingress controller"),
)
INGRESS = _in(
    _NETWORKING,
    "Ingress",
    "ingresses",
    "ing",
    sub=("status",),
    inert=_inert("Ingress", "there is no ingress controller"),
)
IP_ADDRESS = _in(
    _NETWORKING,
    "IPAddress",
    "ipaddresses",
    "ip",
    namespaced=False,
    inert=_inert("IPAddress", "service addresses are counted from the Services themselves"),
)
NETWORK_POLICY = _in(
    _NETWORKING,
    "NetworkPolicy",
    "networkpolicies",
    "netpol",
)
SERVICE_CIDR = _in(
    _NETWORKING,
    "ServiceCIDR",
    "servicecidrs",
    namespaced=False,
    sub=("status",),
    inert=_inert("ServiceCIDR", "the service range is fixed when the lab is made"),
)

POD_DISRUPTION_BUDGET = _in(
    "policy/v1",
    "PodDisruptionBudget",
    "poddisruptionbudgets",
    "pdb",
    sub=("status",),
)

_RBAC = "rbac.authorization.k8s.io/v1"
CLUSTER_ROLE_BINDING = _in(_RBAC, "ClusterRoleBinding", "clusterrolebindings", namespaced=False)
CLUSTER_ROLE = _in(_RBAC, "ClusterRole", "clusterroles", namespaced=False)
ROLE_BINDING = _in(_RBAC, "RoleBinding", "rolebindings")
ROLE = _in(_RBAC, "Role", "roles")

STORAGE_CLASS = _in(
    "storage.k8s.io/v1",
    "StorageClass",
    "storageclasses",
    "sc",
    namespaced=False,
    inert=_inert("StorageClass", "no volumes are provisioned"),
)

PRIORITY_CLASS = _in(
    "scheduling.k8s.io/v1",
    "PriorityClass",
    "priorityclasses",
    "pc",
    namespaced=False,
    inert=_inert("PriorityClass", "no pod is preempted"),
)

LEASE = _in("coordination.k8s.io/v1", "Lease", "leases")

ENDPOINT_SLICE = _in("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")

KINDS: tuple[Kind, ...] = (
    BINDING,
    CONFIG_MAP,
    ENDPOINTS,
    EVENT,
    LIMIT_RANGE,
    NAMESPACE,
    NODE,
    PERSISTENT_VOLUME_CLAIM,
    PERSISTENT_VOLUME,
    POD,
    POD_TEMPLATE,
    REPLICATION_CONTROLLER,
    RESOURCE_QUOTA,
    SECRET,
    SERVICE_ACCOUNT,
    SERVICE,
    DAEMON_SET,
    DEPLOYMENT,
    REPLICA_SET,
    STATEFUL_SET,
    EVENTS_EVENT,
    SELF_SUBJECT_REVIEW,
    TOKEN_REVIEW,
    LOCAL_SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_RULES_REVIEW,
    SUBJECT_ACCESS_REVIEW,
    HORIZONTAL_POD_AUTOSCALER,
    HORIZONTAL_POD_AUTOSCALER_V1,
    CRON_JOB,
    JOB,
    INGRESS_CLASS,
    INGRESS,
    IP_ADDRESS,
    NETWORK_POLICY,
    SERVICE_CIDR,
    POD_DISRUPTION_BUDGET,
    CLUSTER_ROLE_BINDING,
    CLUSTER_ROLE,
    ROLE_BINDING,
    ROLE,
    STORAGE_CLASS,
    PRIORITY_CLASS,
    LEASE,
    ENDPOINT_SLICE,
)
"""Everything with a URL of its own, in discovery order."""

# Bodies of subresources: they have a schema but no URL of their own.
EVICTION = _in("policy/v1", "Eviction", "", verbs=_ASK)
SCALE = _in("autoscaling/v1", "Scale", "", verbs=("get", "patch", "update"))
TOKEN_REQUEST = _in("authentication.k8s.io/v1", "TokenRequest", "", verbs=_ASK)

BODIES: tuple[Kind, ...] = (EVICTION, SCALE, TOKEN_REQUEST)
"""Types that only occur as the body of a subresource."""

_BY_GVK = {(k.group, k.version, k.kind): k for k in KINDS + BODIES}
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


def storage_kind(kind: Kind) -> Kind:
    """The kind under which objects of `kind` are stored: itself, unless `stored_as` names another version."""
    if kind.stored_as is None:
        return kind
    return _BY_GVK[(*kind.stored_as, kind.kind)]


def group_versions() -> dict[str, tuple[str, ...]]:
    """API groups in discovery order, each with its versions, the preferred one first."""
    groups: dict[str, tuple[str, ...]] = {}
    for kind in KINDS:
        known = groups.get(kind.group, ())
        if kind.version not in known:
            groups[kind.group] = (*known, kind.version)
    return groups
