"""What containers and pods ask of a node (validateResourceRequirements)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from labctl.api import names, requests
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation import resources
from labctl.api.validation.causes import all_invalid, duplicate, forbidden, invalid, required, unsupported
from labctl.api.validation.pods.scope import Scope

NameCheck = Callable[[str, str], list[Cause]]
_PAGES = "hugepages-"
_OF_PODS = ("cpu", "memory")


def container(path: str, wanted: Object, scope: Scope) -> list[Cause]:
    """`resources` of a container."""
    return _amounts(path, wanted, resources.container_name) + _claims(
        f"{path}.claims", wanted.get("claims") or (), scope
    )


def overhead(path: str, amounts: Object) -> list[Cause]:
    """`overhead` of a pod, which Kubernetes looks at as at a container's limits."""
    return _amounts(path, {"limits": amounts}, resources.container_name)


def pod(path: str, scope: Scope) -> list[Cause]:
    """`resources` of the pod itself."""
    wanted = scope.spec.get("resources")
    if wanted is None:
        return []
    if scope.os == "windows":
        return [forbidden(path, "may not be set for a windows pod")]
    causes = []
    if wanted.get("claims") is not None:
        causes.append(forbidden(f"{path}.claims", "claims may not be set for Resources at pod-level"))
    causes += _amounts(path, wanted, _pod_name) + _claims(f"{path}.claims", wanted.get("claims") or (), scope)
    return causes + _consistent(path, wanted, scope.spec)


def _pod_name(path: str, name: str) -> list[Cause]:
    if wrong := resources.resource_name(path, name):
        return wrong
    return [] if name in _OF_PODS or name.startswith(_PAGES) else [unsupported(path, name, (*_OF_PODS, _PAGES))]


def _amounts(path: str, wanted: Object, name_check: NameCheck) -> list[Cause]:
    limits, asked_for = wanted.get("limits") or {}, wanted.get("requests") or {}
    causes: list[Cause] = []
    for name, value in limits.items():
        here = f"{path}.limits[{name}]"
        causes += name_check(here, name) + resources.quantity(here, name, value) + _pages(here, name, value)
    for name, value in asked_for.items():
        here = f"{path}.requests[{name}]"
        causes += name_check(here, name) + resources.quantity(here, name, value)
        causes += _against_limit(path, name, value, limits.get(name)) + _pages(here, name, value)
    asked = {*limits, *asked_for}
    if not asked & set(_OF_PODS) and any(name.startswith(_PAGES) for name in asked):
        causes.append(forbidden(path, "HugePages require cpu or memory"))
    return causes


def _overcommitted(name: str) -> bool:
    native = "/" not in name or "kubernetes.io/" in name
    return native and not name.startswith(_PAGES)


def _against_limit(path: str, name: str, value: object, limit: object) -> list[Cause]:
    if limit is None:
        if _overcommitted(name):
            return []
        return [required(f"{path}.limits", "Limit must be set for non overcommitable resources")]
    asked, most = resources.amount(value).amount, resources.amount(limit).amount
    if asked != most and not _overcommitted(name):
        return [invalid(f"{path}.requests", value, f"must be equal to {name} limit of {limit}")]
    if asked > most:
        return [invalid(f"{path}.requests", value, f"must be less than or equal to {name} limit of {limit}")]
    return []


def _pages(path: str, name: str, value: object) -> list[Cause]:
    from labctl.api import quantities  # decimal is not needed for pods without limits

    if not name.startswith(_PAGES):
        return []
    try:
        size = quantities.parse(name.removeprefix(_PAGES)).value()
    except quantities.QuantityError:
        size = 0
    if size > 0 and not resources.amount(value).value() % size:
        return []
    return [invalid(path, value, f"{value} is not positive integer multiple of {name}")]


def _claims(path: str, claims: Iterable[Object], scope: Scope) -> list[Cause]:
    causes, seen, known = list[Cause](), set[str](), sorted(scope.claims())
    for index, claim in enumerate(claims):
        here, name, request = f"{path}[{index}]", claim.get("name", ""), claim.get("request", "")
        if not name:
            causes.append(required(here))
            continue
        if name in seen:
            causes.append(duplicate(here, name))
        else:
            key = f"{name}/{request}" if request else name
            causes += all_invalid(f"{here}.request", request, names.dns1123_label(request)) if request else []
            if key in seen:
                causes.append(duplicate(here, key))
            elif not request:
                causes += [duplicate(here, name) for other in seen if other.partition("/")[0] == name and "/" in other]
            seen.add(key)
        if name not in known:
            among = f": {', '.join(known)}" if known else " which is empty"
            detail = f"must be one of the names in pod.spec.resourceClaims{among}"
            causes.append(Cause("FieldValueNotFound", f'Not found: "{name}": {detail}', here))
    return causes


def _consistent(path: str, wanted: Object, spec: Object) -> list[Cause]:
    """What the containers ask for together fits into what the pod asks for (validatePodResourceConsistency)."""
    causes: list[Cause] = []
    for name, total in requests.together(spec, "requests").items():
        own = (wanted.get("requests") or {}).get(name)
        if own is not None and total > resources.amount(own).amount:
            detail = f"must be greater than or equal to aggregate container requests of {_text(total, own)}"
            causes.append(invalid(f"{path}.requests[{name}]", own, detail))
    for name, total in requests.together(spec, "limits").items():
        own = (wanted.get("limits") or {}).get(name)
        if name.startswith(_PAGES) and own is not None and total > resources.amount(own).amount:
            detail = f"must be greater than or equal to aggregate container limits of {_text(total, own)}"
            causes.append(invalid(f"{path}.limits[{name}]", own, detail))
    for index, each in enumerate(spec.get("containers") or ()):
        for name, limit in ((each.get("resources") or {}).get("limits") or {}).items():
            own = (wanted.get("limits") or {}).get(name)
            if own is not None and resources.amount(limit).amount > resources.amount(own).amount:
                detail = f"must be less than or equal to pod limits of {own}"
                causes.append(invalid(f"{path}.containers[{index}][{name}].limits", limit, detail))
    return causes


def _text(total: Decimal, like: object) -> str:
    """A sum as Kubernetes writes it: with the family of suffixes of what it is compared with."""
    from labctl.api import quantities

    return str(quantities.Quantity(total, resources.amount(like).format))
