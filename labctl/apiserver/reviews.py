"""Questions that are posted and answered at once: who am I, may I, whose token is this."""

from __future__ import annotations

from collections.abc import Callable

from labctl.api import kinds, status
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.api.times import format_time
from labctl.apiserver import authorization
from labctl.apiserver.authentication import ISSUER
from labctl.apiserver.context import Context
from labctl.apiserver.options import User

Review = Callable[[Context, User, str, Object], Object]


def _answered(context: Context, kind: Kind, spec: Object | None, result: Object) -> Object:
    review: Object = {
        "kind": kind.kind,
        "apiVersion": kind.api_version,
        "metadata": {"creationTimestamp": format_time(context.registry.clock())},
    }
    if spec is not None:
        review["spec"] = spec
    return review | {"status": result}


def _self_subject(context: Context, user: User, _: str, __: Object) -> Object:
    return _answered(context, kinds.SELF_SUBJECT_REVIEW, None, {"userInfo": user.to_json()})


def _token(context: Context, _: User, __: str, data: Object) -> Object:
    spec = data.get("spec") or {}
    token, wanted = str(spec.get("token") or ""), list(spec.get("audiences") or ()) or [ISSUER]
    try:
        found = context.authenticator.user_of_token(token, audiences=wanted)
        audiences = [a for a in context.authenticator.audiences_of(token) if a in wanted]
    except status.ApiError:
        return _answered(context, kinds.TOKEN_REVIEW, spec, {"user": {}, "error": "invalid bearer token"})
    result = {"authenticated": True, "user": found.to_json(), "audiences": audiences}
    return _answered(context, kinds.TOKEN_REVIEW, spec, result)


def _attributes(spec: Object) -> authorization.Attributes:
    asked = spec.get("resourceAttributes")
    if asked is None:
        plain = spec.get("nonResourceAttributes") or {}
        return authorization.Attributes(plain.get("verb", ""), path=plain.get("path", "/"))
    return authorization.Attributes(
        asked.get("verb", ""),
        asked.get("group", ""),
        asked.get("resource", ""),
        asked.get("subresource", ""),
        asked.get("namespace", ""),
        asked.get("name", ""),
    )


def _self_access(context: Context, user: User, _: str, data: Object) -> Object:
    spec = data.get("spec") or {}
    may = authorization.allowed(context.registry.store, user, _attributes(spec))
    return _answered(context, kinds.SELF_SUBJECT_ACCESS_REVIEW, spec, {"allowed": may})


def _access(kind: Kind) -> Review:
    def review(context: Context, _: User, __: str, data: Object) -> Object:
        spec = data.get("spec") or {}
        subject = User(spec.get("user", ""), tuple(spec.get("groups") or ()))
        may = authorization.allowed(context.registry.store, subject, _attributes(spec))
        return _answered(context, kind, spec, {"allowed": may})

    return review


def _rules(context: Context, user: User, _: str, data: Object) -> Object:
    spec = data.get("spec") or {}
    rules = list(authorization.rules_of(context.registry.store, user, spec.get("namespace", "")))
    result = {
        "resourceRules": [r for r in rules if "nonResourceURLs" not in r],
        "nonResourceRules": [r for r in rules if "nonResourceURLs" in r],
        "incomplete": False,
    }
    return _answered(context, kinds.SELF_SUBJECT_RULES_REVIEW, spec, result)


REVIEWS: dict[Kind, Review] = {
    kinds.SELF_SUBJECT_REVIEW: _self_subject,
    kinds.TOKEN_REVIEW: _token,
    kinds.SELF_SUBJECT_ACCESS_REVIEW: _self_access,
    kinds.SELF_SUBJECT_RULES_REVIEW: _rules,
    kinds.SUBJECT_ACCESS_REVIEW: _access(kinds.SUBJECT_ACCESS_REVIEW),
    kinds.LOCAL_SUBJECT_ACCESS_REVIEW: _access(kinds.LOCAL_SUBJECT_ACCESS_REVIEW),
}
