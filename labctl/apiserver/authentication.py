"""Who is it: bearer tokens of the admin, of the nodes, and of ServiceAccounts (JWTs signed with the lab's key)."""

from __future__ import annotations

import hmac
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache

import orjson

from labctl.api import kinds, status
from labctl.api.objects import Object, ObjectKey
from labctl.apiserver.options import ANONYMOUS, MASTERS, User
from labctl.apiserver.token_keys import SigningKey, b64, unb64
from labctl.config import Credentials
from labctl.store.store import Store

ISSUER = "https://kubernetes.default.svc.cluster.local"
_AUTHENTICATED = "system:authenticated"
_KNOWN_TOKENS = 1024
_BOUND = {"pod": kinds.POD, "secret": kinds.SECRET, "node": kinds.NODE}  # the first one found counts


class Authenticator:
    """Checks and issues tokens."""

    def __init__(self, credentials: Credentials, store: Store, *, clock: Callable[[], float] = time.time) -> None:
        self._credentials = credentials
        self._store = store
        self._clock = clock
        self.key = SigningKey(credentials.service_account_key)
        self._claims = lru_cache(maxsize=_KNOWN_TOKENS)(self._read)

    def user(self, authorization: str) -> User:
        """The user of an Authorization header; anonymous without one. Raises ApiError 401."""
        if not authorization:
            return ANONYMOUS
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise _unauthorized()
        return self.user_of_token(token.strip())

    def user_of_token(self, token: str, *, audiences: Collection[str] = (ISSUER,)) -> User:
        """The user of a token that is meant for one of the audiences. Raises ApiError 401."""
        known = self._credentials if ISSUER in audiences else Credentials()
        if known.admin_token and hmac.compare_digest(token.encode(), known.admin_token.encode()):
            return User("kubernetes-admin", (MASTERS, _AUTHENTICATED))
        if known.node_token and hmac.compare_digest(token.encode(), known.node_token.encode()):
            return User("system:node-proxier", ("system:nodes", _AUTHENTICATED))
        return self._service_account(token, audiences)

    def issue(
        self, account: Object, *, audiences: list[str], seconds: int, bound: Mapping[str, Object] | None = None
    ) -> tuple[str, float]:
        """A token for a ServiceAccount and when it expires (Unix seconds).

        `bound` are the objects it is good for as long as they are there: name and uid by "pod", "node" or "secret".
        """
        now = int(self._clock())
        namespace, name = account["metadata"]["namespace"], account["metadata"]["name"]
        private: Object = {"namespace": namespace, "serviceaccount": {"name": name, "uid": account["metadata"]["uid"]}}
        claims = {
            "jti": str(uuid.uuid4()),
            "aud": audiences,
            "exp": now + seconds,
            "iat": now,
            "nbf": now,
            "iss": ISSUER,
            "sub": f"system:serviceaccount:{namespace}:{name}",
            "kubernetes.io": private | dict(bound or {}),
        }
        body = f"{_encode(self.key.header)}.{_encode(claims)}"
        return f"{body}.{self.key.sign(body)}", now + seconds

    def audiences_of(self, token: str) -> list[str]:
        """Whom a ServiceAccount's token is for; the other tokens are for the API server."""
        claims = self._claims(token)
        return [ISSUER] if claims is None else list(claims["aud"])

    def _read(self, token: str) -> Object | None:
        """What a token that was signed here says; None for any other."""
        body, _, signature = token.rpartition(".")
        if body.count(".") != 1 or not self.key.verifies(body, signature):
            return None
        claims: Object = orjson.loads(unb64(body.partition(".")[2]))
        return claims

    def _service_account(self, token: str, audiences: Collection[str]) -> User:
        claims = self._claims(token)
        if claims is None or claims.get("exp", 0) < self._clock() or not set(audiences) & set(claims["aud"]):
            raise _unauthorized()
        private = claims["kubernetes.io"]
        namespace, name = private["namespace"], private["serviceaccount"]["name"]
        account = self._store.get(kinds.SERVICE_ACCOUNT.group_resource, ObjectKey(namespace, name))
        if account is None or account["metadata"]["uid"] != private["serviceaccount"]["uid"]:
            raise _unauthorized()
        if not self._is_bound_still(namespace, private):
            raise _unauthorized()
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", _AUTHENTICATED)
        return User(claims["sub"], groups, account["metadata"]["uid"], _extra(claims))

    def _is_bound_still(self, namespace: str, private: Object) -> bool:
        """Whether the object that a token is bound to is there; a pod's node only tells where it ran."""
        bound = next((name for name in _BOUND if name in private), None)
        if bound is None:
            return True
        kind, reference = _BOUND[bound], private[bound]
        key = ObjectKey(namespace if kind.namespaced else "", reference["name"])
        found = self._store.get(kind.group_resource, key)
        return found is not None and found["metadata"]["uid"] == reference["uid"]


def _extra(claims: Object) -> dict[str, tuple[str, ...]]:
    """What is known of a token beyond its account, as TokenReviews and impersonation show it."""
    private = claims["kubernetes.io"]
    found = {"credential-id": f"JTI={claims['jti']}" if "jti" in claims else ""}
    for name in ("pod", "node"):
        if name in private:
            found |= {f"{name}-name": private[name]["name"], f"{name}-uid": private[name]["uid"]}
    return {f"authentication.kubernetes.io/{key}": (value,) for key, value in found.items() if value}


def _unauthorized() -> status.ApiError:
    return status.ApiError(401, "Unauthorized", "Unauthorized")


def _encode(data: Object) -> str:
    return b64(orjson.dumps(data))
