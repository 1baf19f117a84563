"""Who is it: bearer tokens of the admin, of the nodes, and of ServiceAccounts (JWTs signed with the lab's key)."""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Callable

import orjson

from labctl.api import kinds, status
from labctl.api.objects import Object, ObjectKey
from labctl.apiserver.options import ANONYMOUS, MASTERS, User
from labctl.config import Credentials
from labctl.store.store import Store

ISSUER = "https://kubernetes.default.svc.cluster.local"
_AUTHENTICATED = "system:authenticated"
_MIN_SECONDS, _MAX_SECONDS = 600, 1 << 32


class Authenticator:
    """Checks and issues tokens."""

    def __init__(self, credentials: Credentials, store: Store, *, clock: Callable[[], float] = time.time) -> None:
        self._credentials = credentials
        self._store = store
        self._clock = clock
        self._key: bytes = credentials.service_account_key.encode() or b"labctl"

    def user(self, authorization: str) -> User:
        """The user of an Authorization header; anonymous without one. Raises ApiError 401."""
        if not authorization:
            return ANONYMOUS
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise _unauthorized()
        return self.user_of_token(token.strip())

    def user_of_token(self, token: str) -> User:
        """The user of a token. Raises ApiError 401."""
        known = self._credentials
        if known.admin_token and hmac.compare_digest(token.encode(), known.admin_token.encode()):
            return User("kubernetes-admin", (MASTERS, _AUTHENTICATED))
        if known.node_token and hmac.compare_digest(token.encode(), known.node_token.encode()):
            return User("system:node-proxier", ("system:nodes", _AUTHENTICATED))
        return self._service_account(token)

    def issue(
        self, account: Object, *, audiences: list[str], seconds: int, bound: Object | None = None
    ) -> tuple[str, float]:
        """A token for a ServiceAccount and when it expires (Unix seconds)."""
        seconds = min(max(seconds, _MIN_SECONDS), _MAX_SECONDS)
        now = int(self._clock())
        namespace, name = account["metadata"]["namespace"], account["metadata"]["name"]
        private: Object = {"namespace": namespace, "serviceaccount": {"name": name, "uid": account["metadata"]["uid"]}}
        if bound:
            private[bound["kind"].lower()] = {"name": bound["name"], "uid": bound.get("uid", "")}
        claims = {
            "aud": audiences or [ISSUER],
            "exp": now + seconds,
            "iat": now,
            "nbf": now,
            "iss": ISSUER,
            "sub": f"system:serviceaccount:{namespace}:{name}",
            "kubernetes.io": private,
        }
        body = _encode({"alg": "HS256", "typ": "JWT"}) + "." + _encode(claims)
        return f"{body}.{self._signature(body)}", now + seconds

    def _service_account(self, token: str) -> User:
        body, _, signature = token.rpartition(".")
        if not body or not hmac.compare_digest(signature.encode(), self._signature(body).encode()):
            raise _unauthorized()
        claims = _decode(body.partition(".")[2])
        if claims.get("exp", 0) < self._clock():
            raise _unauthorized()
        private = claims["kubernetes.io"]
        namespace, name = private["namespace"], private["serviceaccount"]["name"]
        account = self._store.get(kinds.SERVICE_ACCOUNT.group_resource, ObjectKey(namespace, name))
        if account is None or account["metadata"]["uid"] != private["serviceaccount"]["uid"]:
            raise _unauthorized()
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", _AUTHENTICATED)
        return User(claims["sub"], groups, account["metadata"]["uid"])

    def _signature(self, body: str) -> str:
        return _b64(hmac.digest(self._key, body.encode(), "sha256"))


def _unauthorized() -> status.ApiError:
    return status.ApiError(401, "Unauthorized", "Unauthorized")


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _encode(data: Object) -> str:
    return _b64(orjson.dumps(data))


def _decode(text: str) -> Object:
    data: Object = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return data
