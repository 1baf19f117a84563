"""May they: RBAC evaluated from the stored Roles and bindings, as plugin/pkg/auth/authorizer/rbac does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from labctl.api import kinds, status
from labctl.api.objects import Object, ObjectKey
from labctl.apiserver.options import MASTERS, User
from labctl.store.store import Store

_NODE_READS = ("services", "endpoints", "endpointslices", "nodes", "pods", "namespaces", "networkpolicies")


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is asked: a verb on a resource (with the subresource after a slash), or on a path."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def full_resource(self) -> str:
        """`pods/log`."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def check(store: Store, user: User, attributes: Attributes) -> None:
    """Raise ApiError 403 when the user may not."""
    if not allowed(store, user, attributes):
        raise _forbidden(user, attributes)


def allowed(store: Store, user: User, attributes: Attributes) -> bool:
    """Whether any rule that is bound to the user covers the request."""
    if MASTERS in user.groups:
        return True
    if attributes.path:
        return any(_covers_path(rule, attributes) for rule in rules_of(store, user, ""))
    if "system:nodes" in user.groups and _reads_proxy_configuration(attributes):
        return True
    if "system:nodes" in user.groups and attributes.resource in (*_NODE_READS, "events"):
        reads = attributes.verb in ("get", "list", "watch")
        return reads or (attributes.resource == "events" and attributes.verb in ("create", "patch", "update"))
    return any(_covers(rule, attributes) for rule in rules_of(store, user, attributes.namespace))


def rules_of(store: Store, user: User, namespace: str) -> Iterator[Object]:
    """The rules bound to a user, everywhere and in a namespace."""
    for binding in store.items(kinds.CLUSTER_ROLE_BINDING.group_resource):
        if _binds(binding, user):
            yield from _role_rules(store, binding, "")
    if namespace:
        for binding in store.items(kinds.ROLE_BINDING.group_resource, namespace):
            if _binds(binding, user):
                yield from _role_rules(store, binding, namespace)


def _reads_proxy_configuration(attributes: Attributes) -> bool:
    """ConfigMap kube-proxy and its neighbours, which hold no secrets: kubeadm binds a Role for it."""
    reads = attributes.verb in ("get", "list", "watch")
    return reads and attributes.resource == "configmaps" and attributes.namespace == "kube-system"


def _covers_path(rule: Object, asked: Attributes) -> bool:
    """Whether a rule speaks of the path itself, or of all that begin with what stands before its star."""
    urls = rule.get("nonResourceURLs") or ()
    fits = any(asked.path.startswith(u[:-1]) if u.endswith("*") else asked.path == u for u in urls)
    return fits and _in(asked.verb, rule.get("verbs"))


def _binds(binding: Object, user: User) -> bool:
    return any(_is_subject(s, binding["metadata"].get("namespace", ""), user) for s in binding.get("subjects") or ())


def _is_subject(subject: Object, namespace: str, user: User) -> bool:
    if subject["kind"] == "User":
        return bool(subject["name"] == user.name)
    if subject["kind"] == "Group":
        return subject["name"] in user.groups
    account = f"system:serviceaccount:{subject.get('namespace') or namespace}:{subject['name']}"
    return subject["kind"] == "ServiceAccount" and user.name == account


def _role_rules(store: Store, binding: Object, namespace: str) -> list[Object]:
    reference = binding["roleRef"]
    if reference["kind"] == "ClusterRole":
        role = store.get(kinds.CLUSTER_ROLE.group_resource, ObjectKey("", reference["name"]))
    else:
        role = store.get(kinds.ROLE.group_resource, ObjectKey(namespace, reference["name"]))
    return list((role or {}).get("rules") or ())


def _covers(rule: Object, asked: Attributes) -> bool:
    names = rule.get("resourceNames")
    return (
        _in(asked.verb, rule.get("verbs"))
        and _in(asked.group, rule.get("apiGroups"))
        and _resource_in(asked, rule.get("resources") or ())
        and (not names or asked.name in names)
    )


def _in(value: str, listed: list[str] | None) -> bool:
    return "*" in (listed or ()) or value in (listed or ())


def _resource_in(asked: Attributes, resources: list[str] | tuple[str, ...]) -> bool:
    wanted = {"*", asked.full_resource}
    if asked.subresource:
        wanted.add(f"*/{asked.subresource}")
    return any(r in wanted for r in resources)


def _forbidden(user: User, asked: Attributes) -> status.ApiError:
    if asked.path:
        text = f'forbidden: User "{user.name}" cannot {asked.verb} path "{asked.path}"'
        return status.ApiError(403, "Forbidden", text, {})
    group_resource = f"{asked.resource}.{asked.group}" if asked.group else asked.resource
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    name = f' "{asked.name}"' if asked.name else ""
    text = (
        f'{group_resource}{name} is forbidden: User "{user.name}" cannot {asked.verb} resource '
        f'"{asked.full_resource}" in API group "{asked.group}" {where}'
    )
    details: Object = {"name": asked.name} if asked.name else {}
    if asked.group:
        details["group"] = asked.group
    return status.ApiError(403, "Forbidden", text, details | {"kind": asked.resource})
