"""Acting as somebody else: `kubectl --as`, the headers Impersonate-User, -Group, -Uid and -Extra-*.

As k8s.io/apiserver/pkg/endpoints/filters/impersonation: whoever asks needs the verb `impersonate` on each thing taken on.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

from starlette.datastructures import Headers

from labctl.api import status
from labctl.apiserver import authorization
from labctl.apiserver.options import User
from labctl.store.store import Store

_EXTRA = "impersonate-extra-"
_ACCOUNT = "system:serviceaccount:"
_AUTHENTICATED, _UNAUTHENTICATED, _NOBODY = "system:authenticated", "system:unauthenticated", "system:anonymous"


def acting(store: Store, user: User, headers: Headers) -> User:
    """The user a request acts as: `user` itself where it does not say otherwise. Raises ApiError 400, 403."""
    wanted = _wanted(headers)
    if wanted is None:
        return user
    for asked in _asked(wanted):
        authorization.check(store, user, asked)
    return User(wanted.name, _groups(wanted), wanted.uid, wanted.extra)


def _wanted(headers: Headers) -> User | None:
    extra: dict[str, tuple[str, ...]] = {}
    for name, value in headers.items():
        if name.startswith(_EXTRA):
            key = unquote(name.removeprefix(_EXTRA))
            extra[key] = (*extra.get(key, ()), value)
    groups = tuple(headers.getlist("impersonate-group"))
    user = User(headers.get("impersonate-user", ""), groups, headers.get("impersonate-uid", ""), extra)
    if user.name:
        return user
    if groups or user.uid or extra:
        raise status.bad_request(f"requested {_go(user)} without impersonating a user name")
    return None


def _asked(wanted: User) -> Iterable[authorization.Attributes]:
    """What must be allowed, in the order in which Kubernetes asks."""
    namespace, name = _account(wanted.name)
    if name:
        yield authorization.Attributes("impersonate", "", "serviceaccounts", "", namespace, name)
    else:
        yield authorization.Attributes("impersonate", "", "users", name=wanted.name)
    for group in wanted.groups:
        yield authorization.Attributes("impersonate", "", "groups", name=group)
    for key, values in wanted.extra.items():
        for value in values:
            yield authorization.Attributes("impersonate", "authentication.k8s.io", "userextras", key, name=value)
    if wanted.uid:
        yield authorization.Attributes("impersonate", "authentication.k8s.io", "uids", name=wanted.uid)


def _account(user_name: str) -> tuple[str, str]:
    """Namespace and name of the ServiceAccount that a user name stands for, else two empty words."""
    namespace, _, name = user_name.removeprefix(_ACCOUNT).partition(":")
    return (namespace, name) if user_name.startswith(_ACCOUNT) and namespace and name else ("", "")


def _groups(wanted: User) -> tuple[str, ...]:
    """The groups that come with being such a user."""
    groups = wanted.groups
    namespace, name = _account(wanted.name)
    if name and not groups:
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    implied = _UNAUTHENTICATED if wanted.name == _NOBODY else _AUTHENTICATED
    return groups if {_AUTHENTICATED, _UNAUTHENTICATED} & set(groups) else (*groups, implied)


def _go(user: User) -> str:
    """A user as Go prints it: the words of the error message."""
    extra = ", ".join(f'"{k}":[]string{{{_strings(v)}}}' for k, v in user.extra.items())
    groups = f"[]string{{{_strings(user.groups)}}}" if user.groups else "[]string(nil)"
    extras = f"map[string][]string{{{extra}}}" if user.extra else "map[string][]string(nil)"
    return f'&user.DefaultInfo{{Name:"", UID:"{user.uid}", Groups:{groups}, Extra:{extras}}}'


def _strings(values: Iterable[str]) -> str:
    return ", ".join(f'"{v}"' for v in values)
