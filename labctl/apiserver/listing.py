"""Lists: selectors, consistent pages, revisions.

A page is taken from one revision: the continue token carries it, and a token whose revision is compacted is answered
410 Expired, as Kubernetes does (k8s.io/apiserver/pkg/storage/continue.go).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

import orjson

from labctl.api import kinds, schema, selectors, status
from labctl.api.kinds import Kind
from labctl.api.objects import Object, ObjectKey, key_of
from labctl.apiserver.registry import Registry
from labctl.client.protocol import ObjectList
from labctl.store.errors import Compacted, FutureRevision

_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. "
    "You can start a new list without the continue parameter, or use the continue token in this response to retrieve "
    "the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that "
    "were created, modified, or deleted between the time the first chunk was returned and now may show up in the list."
)


_VERSION = "meta.k8s.io/v1"
_EVERYTHING = selectors.LabelSelector()
_EVERY_FIELD = selectors.FieldSelector()


@dataclass(frozen=True, slots=True)
class ListOptions:
    """Query of a list or the initial part of a watch."""

    label_selector: selectors.LabelSelector = _EVERYTHING
    field_selector: selectors.FieldSelector = _EVERY_FIELD
    limit: int = 0
    continue_token: str = ""
    resource_version: str = ""
    resource_version_match: str = ""

    def selects(self, kind: Kind, obj: Object) -> bool:
        """Whether both selectors select an object."""
        return self.label_selector.matches(obj["metadata"].get("labels")) and self.field_selector.matches(kind, obj)


@dataclass(frozen=True, slots=True)
class Page:
    """Items of one page, the revision they are from, and how to go on."""

    items: list[Object]
    revision: int
    continue_token: str = ""
    remaining: int | None = None

    def as_list(self) -> ObjectList:
        """The page as the client's protocol has it."""
        return ObjectList(self.items, str(self.revision), self.continue_token)

    def metadata(self) -> Object:
        """ListMeta."""
        meta: Object = {"resourceVersion": str(self.revision)}
        if self.continue_token:
            meta["continue"] = self.continue_token
        if self.remaining is not None:
            meta["remainingItemCount"] = self.remaining
        return meta


def list_objects(registry: Registry, kind: Kind, namespace: str, options: ListOptions) -> Page:
    """The objects that are selected, in order of namespace and name. Raises ApiError 400, 410, 504."""
    options.field_selector.check(kind)
    resource = kinds.storage_kind(kind).group_resource
    revision, after = registry.store.revision, None
    if options.continue_token:
        revision, after = _decode(options.continue_token)
    elif options.resource_version_match == "Exact":
        revision = _asked(options)
    elif options.resource_version not in ("", "0"):
        _check_not_in_future(registry, _asked(options))
    try:
        present = revision == registry.store.revision
        found = (
            registry.store.items(resource, namespace)
            if present
            else registry.store.items_at(resource, revision, namespace)
        )
    except Compacted as error:
        raise _expired(registry, options) from error
    except FutureRevision as error:
        raise too_large(error) from error
    selected = [o for o in found if (after is None or key_of(o) > after) and options.selects(kind, o)]
    return _page(selected, revision, options)


def _page(selected: list[Object], revision: int, options: ListOptions) -> Page:
    if not options.limit or len(selected) <= options.limit:
        return Page(selected, revision)
    items = selected[: options.limit]
    everything = options.label_selector.is_everything and options.field_selector.is_everything
    remaining = len(selected) - options.limit if everything else None
    return Page(items, revision, _encode(revision, key_of(items[-1])), remaining)


def parse_revision(text: str) -> int:
    """A resourceVersion as a number. Raises ApiError 400."""
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        why = f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        raise status.bad_request(why)
    return int(text)


def _asked(options: ListOptions) -> int:
    try:
        return parse_revision(options.resource_version)
    except status.ApiError as error:
        raise status.bad_request(f"invalid resource version: {error.message}") from None


def too_large(error: FutureRevision) -> status.ApiError:
    """504: the client knows a revision we have not reached (it talked to another lab, or to a lost one)."""
    details = {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }
    return status.ApiError(504, "Timeout", f"Timeout: {error}", details)


def _check_not_in_future(registry: Registry, revision: int) -> None:
    if revision > registry.store.revision:
        raise too_large(FutureRevision(revision, registry.store.revision))


def _expired(registry: Registry, options: ListOptions) -> status.ApiError:
    if not options.continue_token:
        return status.gone("The resourceVersion for the provided list is too old.")
    _, after = _decode(options.continue_token)
    error = status.gone(_EXPIRED)
    error.list_metadata = {"continue": _encode(registry.store.revision, after)}
    return error


def _encode(revision: int, after: ObjectKey) -> str:
    token = orjson.dumps({"v": _VERSION, "rv": revision, "start": list(after)})
    return base64.urlsafe_b64encode(token).decode().rstrip("=")


_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def _decode(token: str) -> tuple[int, ObjectKey]:
    bare = token.rstrip("=")
    foreign = next((i for i, c in enumerate(bare) if c not in _ALPHABET), None)
    if foreign is not None or len(bare) % 4 == 1:
        raise _wrong_token(f"illegal base64 data at input byte {foreign if foreign is not None else len(bare) - 1}")
    text = base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4)).decode("latin-1")
    try:
        data = schema.parse_value(text.encode())
    except status.ApiError as error:
        raise _wrong_token(error.message) from None
    try:
        if data["v"] != _VERSION:
            raise _wrong_token(f"server does not recognize this encoded version {data['v']}")
        revision, (namespace, name) = data["rv"], data["start"]
        return int(revision), ObjectKey(str(namespace), str(name))
    except (ValueError, KeyError, TypeError) as error:
        raise _wrong_token("server does not recognize this encoded version ") from error


def _wrong_token(why: str) -> status.ApiError:
    return status.bad_request(f"invalid continue token: continue key is not valid: {why}")
