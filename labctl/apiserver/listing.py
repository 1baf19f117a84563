"""Lists: selectors, consistent pages, revisions.

A page is taken from one revision: the continue token carries it, and a token whose revision is compacted is answered
410 Expired, as Kubernetes does (k8s.io/apiserver/pkg/storage/continue.go).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import orjson

from labctl.api import kinds, selectors, status
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
        revision = parse_revision(options.resource_version)
    elif options.resource_version not in ("", "0"):
        _check_not_in_future(registry, parse_revision(options.resource_version))
    try:
        present = revision == registry.store.revision
        found = (
            registry.store.items(resource, namespace)
            if present
            else registry.store.items_at(resource, revision, namespace)
        )
    except Compacted as error:
        raise _expired(registry, options, str(error)) from error
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
        raise status.ApiError(
            400, "BadRequest", f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        )
    return int(text)


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


def _expired(registry: Registry, options: ListOptions, why: str) -> status.ApiError:
    if not options.continue_token:
        return status.gone(why)
    _, after = _decode(options.continue_token)
    error = status.gone(_EXPIRED)
    error.details = {"continue": _encode(registry.store.revision, after)}
    return error


def _encode(revision: int, after: ObjectKey) -> str:
    token = orjson.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": list(after)})
    return base64.urlsafe_b64encode(token).decode().rstrip("=")


def _decode(token: str) -> tuple[int, ObjectKey]:
    try:
        data = orjson.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
        namespace, name = data["start"]
        if not (isinstance(data["rv"], int) and isinstance(namespace, str) and isinstance(name, str)):
            raise ValueError("wrong types")
        return data["rv"], ObjectKey(namespace, name)
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise status.bad_request("continue key is not valid") from error
