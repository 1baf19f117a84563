"""Defaults of the kinds in named groups: apps, networking, discovery, rbac, autoscaling, scheduling, storage, …"""

from __future__ import annotations

from labctl.api.objects import Object

RBAC_GROUP = "rbac.authorization.k8s.io"
CPU_UTILIZATION_PERCENT = 80


def deployment(obj: Object) -> None:
    """One replica, rolling update by a quarter, ten old ReplicaSets, ten minutes to progress."""
    spec = obj.setdefault("spec", {})
    _set(spec, "replicas", 1)
    strategy = spec.setdefault("strategy", {})
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = strategy["rollingUpdate"] = strategy.get("rollingUpdate") or {}
        _set(rolling, "maxUnavailable", "25%")
        _set(rolling, "maxSurge", "25%")
    elif strategy.get("rollingUpdate") is not None:  # validation will refuse it; it shows the internal type's zeros
        _set(strategy["rollingUpdate"], "maxUnavailable", 0)
        _set(strategy["rollingUpdate"], "maxSurge", 0)
    _set(spec, "revisionHistoryLimit", 10)
    _set(spec, "progressDeadlineSeconds", 600)


def replica_set(obj: Object) -> None:
    """One replica."""
    _set(obj.setdefault("spec", {}), "replicas", 1)


def endpoint_port(obj: Object) -> None:
    """An unnamed TCP port."""
    _set(obj, "name", "")
    _set(obj, "protocol", "TCP")


def network_policy(obj: Object) -> None:
    """Ingress always, Egress when there are egress rules."""
    spec = obj.setdefault("spec", {})
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def network_policy_port(obj: Object) -> None:
    """TCP."""
    _set(obj, "protocol", "TCP")


def ingress_class(obj: Object) -> None:
    """Parameters are cluster-scoped."""
    parameters = (obj.get("spec") or {}).get("parameters")
    if parameters is not None:
        _set(parameters, "scope", "Cluster")


def role_binding(obj: Object) -> None:
    """The role's API group."""
    role = obj.setdefault("roleRef", {})
    if not role.get("apiGroup"):
        role["apiGroup"] = RBAC_GROUP


def subject(obj: Object) -> None:
    """Users and groups belong to RBAC's API group, ServiceAccounts to the core."""
    if not obj.get("apiGroup") and obj.get("kind") in ("User", "Group"):
        obj["apiGroup"] = RBAC_GROUP


def autoscaler_v1(obj: Object) -> None:
    """At least one replica, 80 % CPU."""
    spec = obj.setdefault("spec", {})
    _set(spec, "minReplicas", 1)


def autoscaler(obj: Object) -> None:
    """At least one replica, 80 % CPU, and complete scaling rules where there are any."""
    spec = obj.setdefault("spec", {})
    _set(spec, "minReplicas", 1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": CPU_UTILIZATION_PERCENT}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if behavior is None:
        return
    percent = {"type": "Percent", "value": 100, "periodSeconds": 15}
    pods = {"type": "Pods", "value": 4, "periodSeconds": 15}
    up = {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [pods, percent]}
    down = {"selectPolicy": "Max", "policies": [dict(percent)]}
    for name, rules in (("scaleUp", up), ("scaleDown", down)):
        given = {key: value for key, value in (behavior.get(name) or {}).items() if value is not None}
        behavior[name] = {**rules, **given}


def priority_class(obj: Object) -> None:
    """Preempts lower priorities."""
    _set(obj, "preemptionPolicy", "PreemptLowerPriority")


def storage_class(obj: Object) -> None:
    """Volumes are deleted with their claim and bound at once."""
    _set(obj, "reclaimPolicy", "Delete")
    _set(obj, "volumeBindingMode", "Immediate")


def token_request(obj: Object) -> None:
    """One hour."""
    _set(obj, "expirationSeconds", 3600)


def _set(obj: Object, name: str, value: object) -> None:
    if obj.get(name) is None:
        obj[name] = value


RULES = {
    "apps/v1.Deployment": deployment,
    "apps/v1.ReplicaSet": replica_set,
    "discovery/v1.EndpointPort": endpoint_port,
    "networking/v1.NetworkPolicy": network_policy,
    "networking/v1.NetworkPolicyPort": network_policy_port,
    "networking/v1.IngressClass": ingress_class,
    "rbac/v1.RoleBinding": role_binding,
    "rbac/v1.ClusterRoleBinding": role_binding,
    "rbac/v1.Subject": subject,
    "autoscaling/v1.HorizontalPodAutoscaler": autoscaler_v1,
    "autoscaling/v2.HorizontalPodAutoscaler": autoscaler,
    "scheduling/v1.PriorityClass": priority_class,
    "storage/v1.StorageClass": storage_class,
    "authentication/v1.TokenRequestSpec": token_request,
}
