"""Roles and their bindings: pkg/apis/rbac/validation."""

from __future__ import annotations

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation import meta
from labctl.api.validation.causes import all_invalid, invalid, listed, required

_GROUP = "rbac.authorization.k8s.io"
_SUBJECTS = ("ServiceAccount", "User", "Group")


def validate_role(role: Object) -> list[Cause]:
    """A Role: no paths in its rules."""
    return _rules(role, namespaced=True)


def validate_cluster_role(role: Object) -> list[Cause]:
    """A ClusterRole."""
    causes = _rules(role, namespaced=False)
    aggregation = role.get("aggregationRule")
    if aggregation is None:
        return causes
    path, chosen = "aggregationRule.clusterRoleSelectors", aggregation.get("clusterRoleSelectors") or []
    if not chosen:
        causes.append(required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
    for index, selector in enumerate(chosen):
        found = meta.label_selector(f"{path}[{index}]", selector)
        if any(c.field.endswith(".operator") for c in found):
            found.append(invalid(f"{path}[{index}]", None, "invalid label selector."))
        causes += found
    return causes


def _rules(role: Object, *, namespaced: bool) -> list[Cause]:
    causes = []
    for index, rule in enumerate(role.get("rules") or ()):
        causes += _rule(f"rules[{index}]", rule, namespaced=namespaced)
    return causes


def _rule(path: str, rule: Object, *, namespaced: bool) -> list[Cause]:
    causes = [] if rule.get("verbs") else [required(f"{path}.verbs", "verbs must contain at least one value")]
    if urls := rule.get("nonResourceURLs"):
        where = f"{path}.nonResourceURLs"
        if namespaced:
            causes.append(invalid(where, urls, "namespaced rules cannot apply to non-resource URLs"))
        if any(rule.get(name) for name in ("apiGroups", "resources", "resourceNames")):
            causes.append(invalid(where, urls, "rules cannot apply to both regular resources and non-resource URLs"))
        return causes
    if not rule.get("apiGroups"):
        causes.append(required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
    if not rule.get("resources"):
        causes.append(required(f"{path}.resources", "resource rules must supply at least one resource"))
    return causes


def validate_role_binding(binding: Object) -> list[Cause]:
    """A RoleBinding."""
    return _binding(binding, ("Role", "ClusterRole"))


def validate_cluster_role_binding(binding: Object) -> list[Cause]:
    """A ClusterRoleBinding."""
    return _binding(binding, ("ClusterRole",))


def _binding(binding: Object, roles: tuple[str, ...]) -> list[Cause]:
    reference = binding["roleRef"]
    causes = []
    if reference.get("apiGroup", "") != _GROUP:
        causes.append(listed("roleRef.apiGroup", reference.get("apiGroup", ""), (_GROUP,)))
    if reference.get("kind", "") not in roles:
        causes.append(listed("roleRef.kind", reference.get("kind", ""), roles))
    if name := reference.get("name", ""):
        causes += all_invalid("roleRef.name", name, names.path_segment(name))
    else:
        causes.append(required("roleRef.name"))
    for index, subject in enumerate(binding.get("subjects") or ()):
        causes += _subject(f"subjects[{index}]", subject, namespaced="Role" in roles)
    return causes


def _subject(path: str, subject: Object, *, namespaced: bool) -> list[Cause]:
    kind, name, group = (subject.get(part, "") for part in ("kind", "name", "apiGroup"))
    causes = [] if name else [required(f"{path}.name")]
    if kind not in _SUBJECTS:
        return [*causes, listed(f"{path}.kind", kind, _SUBJECTS)]
    if kind != "ServiceAccount":
        return causes if group == _GROUP else [*causes, listed(f"{path}.apiGroup", group, (_GROUP,))]
    if name:
        causes += all_invalid(f"{path}.name", name, names.dns1123_subdomain(name))
    if group:
        causes.append(listed(f"{path}.apiGroup", group, ("",)))
    if not namespaced and not subject.get("namespace"):
        causes.append(required(f"{path}.namespace"))
    return causes


def validate_binding_update(new: Object, old: Object) -> list[Cause]:
    """A binding is for one role for good."""
    reference = new["roleRef"]
    if reference == old["roleRef"]:
        return []
    # Kubernetes prints its own type, which has no names for JSON.
    shown = {name[0].upper() + name[1:]: value for name, value in reference.items()}
    shown["APIGroup"] = shown.pop("ApiGroup", "")
    return [invalid("roleRef", dict(sorted(shown.items())), "cannot change roleRef")]
