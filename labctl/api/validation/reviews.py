"""Questions to the authorizer: pkg/apis/authorization/validation."""

from __future__ import annotations

from labctl.api import kinds, status
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import invalid, required

_RESOURCE, _PLAIN = "spec.resourceAttributes", "spec.nonResourceAttributes"
_NAMELESS = Kind(kinds.SUBJECT_ACCESS_REVIEW.group, "v1", "", "", "")  # Kubernetes forgets the kind in these errors


def check_review(kind: Kind, review: Object) -> None:
    """Refuse a question that cannot be answered. Raises ApiError 400, 422."""
    spec = review.get("spec") or {}
    if kind is kinds.TOKEN_REVIEW and not spec.get("token"):
        raise status.bad_request("token is required for TokenReview in authentication")
    if kind is kinds.SELF_SUBJECT_RULES_REVIEW and not spec.get("namespace"):
        raise status.bad_request("no namespace on request")
    if causes := _causes(kind, review, spec):
        raise status.invalid(_NAMELESS, "", causes)


def _causes(kind: Kind, review: Object, spec: Object) -> list[Cause]:
    if kind is kinds.SELF_SUBJECT_ACCESS_REVIEW:
        return _attributes(spec, has_subject=False) + _metadata(review)
    if kind is kinds.SUBJECT_ACCESS_REVIEW:
        return _attributes(spec, has_subject=True) + _metadata(review)
    if kind is kinds.LOCAL_SUBJECT_ACCESS_REVIEW:
        return _attributes(spec, has_subject=True) + _metadata(review, "namespace") + _local(review, spec)
    return []


def _attributes(spec: Object, *, has_subject: bool) -> list[Cause]:
    resource, plain = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    causes = []
    if resource is not None and plain is not None:
        causes.append(invalid(_PLAIN, _in_go(plain), "cannot be specified in combination with resourceAttributes"))
    if resource is None and plain is None:
        detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        causes.append(invalid(_RESOURCE, None, detail))
    if has_subject and not spec.get("user") and not spec.get("groups"):
        causes.append(invalid("spec.user", "", "at least one of user or group must be specified"))
    for name in ("fieldSelector", "labelSelector"):
        if (selector := (resource or {}).get(name)) is not None:
            causes += _selector(f"{_RESOURCE}.{name}", selector)
    return causes


def _selector(path: str, selector: Object) -> list[Cause]:
    raw, requirements = selector.get("rawSelector"), selector.get("requirements")
    if raw and requirements:
        return [invalid(f"{path}.rawSelector", raw, "may not specified at the same time as requirements")]
    if not raw and not requirements:
        return [required(f"{path}.requirements", f"when {path} is specified, requirements or rawSelector is required")]
    return []


def _metadata(review: Object, allowed: str = "") -> list[Cause]:
    metadata = review.get("metadata") or {}
    if not set(metadata) - {"managedFields", allowed}:
        return []
    return [invalid("metadata", metadata, f"must be empty except for {allowed}" if allowed else "must be empty")]


def _local(review: Object, spec: Object) -> list[Cause]:
    causes, resource = [], spec.get("resourceAttributes")
    asked = (resource or {}).get("namespace", "")
    if resource is not None and asked != review["metadata"].get("namespace", ""):
        causes.append(invalid(f"{_RESOURCE}.namespace", asked, "must match metadata.namespace"))
    if (plain := spec.get("nonResourceAttributes")) is not None:
        causes.append(invalid(_PLAIN, _in_go(plain), "disallowed on this kind of request"))
    return causes


def _in_go(plain: Object) -> Object:
    """As Kubernetes' own type, which has no names for JSON, is printed."""
    return {"Path": plain.get("path", ""), "Verb": plain.get("verb", "")}
