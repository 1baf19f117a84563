"""Questions that are posted and answered at once: who am I, may I, whose token is this."""

from __future__ import annotations

from collections.abc import Callable

from labctl.api import kinds, status
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.api.times import format_time
from labctl.api.validation.reviews import check_review
from labctl.apiserver import authorization, ownership
from labctl.apiserver.authentication import ISSUER
from labctl.apiserver.context import Context
from labctl.apiserver.options import User, WriteOptions

Review = Callable[[Context, User, Object], Object]
"""From who asks, and the spec of the question, to the status of the answer."""


def answer(
    context: Context, user: User, kind: Kind, namespace: str, review: Object, *, options: WriteOptions
) -> Object:
    """The answered review. Most are the question with a status; the two about oneself are new objects.

    Raises ApiError 400, 422.
    """
    now = format_time(context.registry.clock())
    metadata = review.setdefault("metadata", {})
    context.registry.place(kind, namespace, review)
    owners = ownership.recorded(kind, ownership.empty(kind), review, ownership.given(review), options, now=now)
    if owners:
        metadata["managedFields"] = owners
    check_review(kind, review)
    result = REVIEWS[kind](context, user, review.get("spec") or {})
    shown: Object = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}
    if kind is kinds.SELF_SUBJECT_REVIEW:
        return {**shown, "metadata": {"creationTimestamp": now}, "status": result}
    if kind is kinds.SELF_SUBJECT_RULES_REVIEW:
        return {**shown, "metadata": {}, "spec": {}, "status": result}
    return {**shown, "spec": review["spec"], "status": result}


def _self_subject(_: Context, user: User, __: Object) -> Object:
    return {"userInfo": user.to_json()}


def _token(context: Context, _: User, spec: Object) -> Object:
    token, wanted = str(spec.get("token") or ""), list(spec.get("audiences") or ()) or [ISSUER]
    try:
        found = context.authenticator.user_of_token(token, audiences=wanted)
        audiences = [a for a in context.authenticator.audiences_of(token) if a in wanted]
    except status.ApiError:
        return {"user": {}, "error": "invalid bearer token"}
    return {"authenticated": True, "user": found.to_json(), "audiences": audiences}


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


def _self_access(context: Context, user: User, spec: Object) -> Object:
    return {"allowed": authorization.allowed(context.registry.store, user, _attributes(spec))}


def _access(context: Context, _: User, spec: Object) -> Object:
    subject = User(spec.get("user", ""), tuple(spec.get("groups") or ()))
    return {"allowed": authorization.allowed(context.registry.store, subject, _attributes(spec))}


def _rules(context: Context, user: User, spec: Object) -> Object:
    rules = list(authorization.rules_of(context.registry.store, user, spec["namespace"]))
    return {
        "resourceRules": [r for r in rules if "nonResourceURLs" not in r],
        "nonResourceRules": [r for r in rules if "nonResourceURLs" in r],
        "incomplete": False,
    }


REVIEWS: dict[Kind, Review] = {
    kinds.SELF_SUBJECT_REVIEW: _self_subject,
    kinds.TOKEN_REVIEW: _token,
    kinds.SELF_SUBJECT_ACCESS_REVIEW: _self_access,
    kinds.SELF_SUBJECT_RULES_REVIEW: _rules,
    kinds.SUBJECT_ACCESS_REVIEW: _access,
    kinds.LOCAL_SUBJECT_ACCESS_REVIEW: _access,
}
