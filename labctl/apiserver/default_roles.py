"""The ClusterRoles and bindings that users expect in every cluster: cluster-admin, admin, edit, view, and the basics.

As plugin/pkg/auth/authorizer/rbac/bootstrappolicy words them, for the resources that are served. Roles of controllers are left
out: ours do not ask over HTTP. `admin` and `edit` hold the rules themselves; nothing aggregates into them.
"""

from __future__ import annotations

from labctl.api.objects import Object

_READ = ["get", "list", "watch"]
_WRITE = ["create", "delete", "deletecollection", "patch", "update"]
_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_GROUP = "rbac.authorization.k8s.io"
_APPS = [
    f"{resource}{sub}"
    for resource in ("daemonsets", "deployments", "replicasets", "statefulsets")
    for sub in ("", "/scale", "/status")
]
_DOCUMENTS = ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz"]
_PUBLIC = ["/healthz", "/livez", "/readyz", "/version", "/version/"]

_ISSUER = [f"{url}{end}" for url in ("/.well-known/openid-configuration", "/openid/v1/jwks") for end in ("", "/")]


def _rule(groups: str, resources: str, verbs: list[str]) -> Object:
    """A rule for resources of groups, both separated by blanks; `core` is the group without a name."""
    names = ["" if g == "core" else g for g in groups.split()]
    return {"apiGroups": names, "resources": resources.split(), "verbs": verbs}


def _urls(paths: list[str]) -> Object:
    return {"nonResourceURLs": paths, "verbs": ["get"]}


_VIEW = [
    _rule(
        "core",
        "bindings configmaps endpoints limitranges namespaces namespaces/status persistentvolumeclaims pods pods/log "
        "pods/status replicationcontrollers replicationcontrollers/scale replicationcontrollers/status resourcequotas "
        "resourcequotas/status serviceaccounts services services/status",
        _READ,
    ),
    _rule("core events.k8s.io", "events", _READ),
    _rule("discovery.k8s.io", "endpointslices", _READ),
    {"apiGroups": ["apps"], "resources": _APPS, "verbs": _READ},
    _rule("autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status", _READ),
    _rule("batch", "cronjobs jobs", _READ),
    _rule("policy", "poddisruptionbudgets poddisruptionbudgets/status", _READ),
    _rule("networking.k8s.io", "ingresses ingresses/status networkpolicies", _READ),
]
_EDIT = [
    _rule("core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy", _READ),
    _rule("core", "serviceaccounts", ["impersonate"]),
    _rule("core", "pods pods/attach pods/exec pods/portforward pods/proxy", _WRITE),
    _rule("core", "pods/eviction serviceaccounts/token", ["create"]),
    _rule(
        "core",
        "configmaps replicationcontrollers replicationcontrollers/scale secrets serviceaccounts services services/proxy",
        _WRITE,
    ),
    _rule("core events.k8s.io", "events", _WRITE),
    _rule("apps", "deployments deployments/scale replicasets replicasets/scale", _WRITE),
    _rule("autoscaling", "horizontalpodautoscalers", _WRITE),
    _rule("policy", "poddisruptionbudgets", _WRITE),
    _rule("networking.k8s.io", "ingresses networkpolicies", _WRITE),
    _rule("coordination.k8s.io", "leases", [*_WRITE, *_READ]),
]
_ADMIN = [
    _rule("authorization.k8s.io", "localsubjectaccessreviews", ["create"]),
    _rule(_GROUP, "rolebindings roles", [*_WRITE, *_READ]),
]
_BASIC = [
    _rule("authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews", ["create"]),
    _rule("authentication.k8s.io", "selfsubjectreviews", ["create"]),
]
_ROLES = {
    "cluster-admin": [_rule("*", "*", ["*"]), {"nonResourceURLs": ["*"], "verbs": ["*"]}],
    "admin": [*_VIEW, *_EDIT, *_ADMIN],
    "edit": [*_VIEW, *_EDIT],
    "view": _VIEW,
    "system:basic-user": _BASIC,
    "system:discovery": [_urls([*_DOCUMENTS, "/version", "/version/"])],
    "system:public-info-viewer": [_urls(_PUBLIC)],
    "system:service-account-issuer-discovery": [_urls(_ISSUER)],
}
_BINDINGS = {
    "cluster-admin": ["system:masters"],
    "system:basic-user": ["system:authenticated"],
    "system:discovery": ["system:authenticated"],
    "system:public-info-viewer": ["system:authenticated", "system:unauthenticated"],
    "system:service-account-issuer-discovery": ["system:serviceaccounts"],
}


def cluster_roles() -> list[Object]:
    """The ClusterRoles, without kind."""
    return [{"metadata": _meta(name), "rules": rules} for name, rules in _ROLES.items()]


def cluster_role_bindings() -> list[Object]:
    """Their ClusterRoleBindings, without kind."""
    return [
        {
            "metadata": _meta(name),
            "roleRef": {"apiGroup": _GROUP, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": _GROUP, "kind": "Group", "name": group} for group in groups],
        }
        for name, groups in _BINDINGS.items()
    ]


def _meta(name: str) -> Object:
    annotations = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
    return {"name": name, "labels": dict(_LABELS), "annotations": annotations}
