"""POST serviceaccounts/NAME/token: a TokenRequest, answered (pkg/registry/core/serviceaccount/storage/token.go)."""

from __future__ import annotations

from labctl.api import kinds, status
from labctl.api.kinds import Kind
from labctl.api.objects import Object, split_api_version
from labctl.api.status import Cause
from labctl.api.times import format_time
from labctl.api.validation.causes import invalid
from labctl.apiserver.authentication import ISSUER, Authenticator
from labctl.apiserver.registry import Registry

_DEFAULT_S, _MIN_S, _MAX_S = 3600, 600, 1 << 32
_BINDABLE = {"Pod": kinds.POD, "Node": kinds.NODE, "Secret": kinds.SECRET}


def issue(registry: Registry, authenticator: Authenticator, namespace: str, name: str, request: Object) -> Object:
    """A token for a ServiceAccount. Raises ApiError 400, 404, 409, 422."""
    account = registry.get(kinds.SERVICE_ACCOUNT, namespace, name)
    wanted = request.get("spec") or {}
    spec: Object = {
        "audiences": list(wanted.get("audiences") or ()) or [ISSUER],
        "expirationSeconds": wanted.get("expirationSeconds") or _DEFAULT_S,
        "boundObjectRef": wanted.get("boundObjectRef"),
    }
    if causes := _validate(request, namespace, name, spec["expirationSeconds"]):
        raise status.invalid(kinds.TOKEN_REQUEST, name, causes)
    token, expires = authenticator.issue(
        account,
        audiences=spec["audiences"],
        seconds=spec["expirationSeconds"],
        bound=_bound(registry, namespace, name, spec["boundObjectRef"]),
    )
    now = format_time(registry.clock())
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": account["metadata"]["uid"],
            "creationTimestamp": now,
        },
        "spec": spec,
        "status": {"token": token, "expirationTimestamp": format_time(expires)},
    }


def _validate(request: Object, namespace: str, name: str, seconds: int) -> list[Cause]:
    causes, metadata = list[Cause](), request.get("metadata") or {}
    for field, value in (("name", name), ("namespace", namespace)):
        if metadata.get(field) not in (None, "", value):
            text = f"must match the service account {field} if specified"
            causes.append(invalid(f"metadata.{field}", metadata[field], text))
    if seconds < _MIN_S:
        causes.append(invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"))
    if seconds > _MAX_S:
        text = "may not specify a duration larger than 2^32 seconds"
        causes.append(invalid("spec.expirationSeconds", seconds, text))
    return causes


def _bound(registry: Registry, namespace: str, account: str, reference: Object | None) -> dict[str, Object]:
    """The claims about the object that the token is bound to, and about a pod's node."""
    if not reference:
        return {}
    group, version = split_api_version(reference.get("apiVersion") or "")
    kind = None if group else _BINDABLE.get(reference.get("kind") or "")
    if kind is None:
        full = f"{group}/{version}, Kind={reference.get('kind', '')}"
        raise status.bad_request(f"cannot bind token to object of type {full}")
    found = _referred(registry, kind, namespace, reference)
    claims = {kind.singular: _reference(found)}
    if kind is kinds.POD:
        if (found["spec"].get("serviceAccountName") or "") != account:
            why = "to pod running with different serviceaccount name."
            raise status.bad_request(f'cannot bind token for serviceaccount "{account}" {why}')
        if node := found["spec"].get("nodeName"):
            there = registry.exists(kinds.NODE, "", node)
            claims["node"] = _reference(registry.get(kinds.NODE, "", node)) if there else {"name": node, "uid": ""}
    return claims


def _referred(registry: Registry, kind: Kind, namespace: str, reference: Object) -> Object:
    name = reference.get("name") or ""
    found = registry.get(kind, namespace if kind.namespaced else "", name)
    uid = found["metadata"]["uid"]
    if reference.get("uid") not in (None, "", uid):
        why = (
            f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )
        raise status.conflict(kind, name, why)
    return found


def _reference(obj: Object) -> Object:
    return {"name": obj["metadata"]["name"], "uid": obj["metadata"]["uid"]}
