"""The API without a socket: what controllers and kubelets of the same process use.

Same registry, same admission and validation as over HTTP; only bytes, tokens and copies are spared.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal

from labctl.api import patches, selectors, status
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.apiserver import deletion, identity, subresources, watching
from labctl.apiserver.authentication import Authenticator
from labctl.apiserver.listing import ListOptions, list_objects
from labctl.apiserver.options import DeleteOptions, WriteOptions
from labctl.apiserver.registry import Registry
from labctl.client.protocol import ObjectList, PatchType, WatchEvent


def apply_patch(kind: Kind, obj: Object, patch: object, patch_type: str) -> Object:
    """The object with a patch applied. Raises ApiError 400, 415, 422."""
    if patch_type == "application/json-patch+json":
        return patches.json_patch(obj, patch)
    if patch_type == "application/merge-patch+json":
        return patches.merge_patch(obj, patch)
    if patch_type == "application/strategic-merge-patch+json":
        return patches.strategic_merge_patch(kind, obj, patch)
    raise status.unsupported_media_type(
        f"the body of the request was in an unknown format - accepted media types include: {', '.join(PATCH_TYPES)}"
    )


APPLY = "application/apply-patch+yaml"
PATCH_TYPES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    APPLY,
)


class LocalApi:
    """Implements `labctl.client.protocol.Api` in the API server's own process, as system:masters.

    `field_manager` is whose the fields it changes become; `named()` gives the same API to somebody else.
    """

    def __init__(
        self, registry: Registry, authenticator: Authenticator, field_manager: str = "kube-controller-manager"
    ) -> None:
        self._registry = registry
        self._authenticator = authenticator
        self._manager = field_manager

    def named(self, field_manager: str) -> LocalApi:
        """This API for another manager of fields."""
        return LocalApi(self._registry, self._authenticator, field_manager)

    def _options(self, field_manager: str = "", *, force: bool = False) -> WriteOptions:
        return WriteOptions(field_manager=field_manager or self._manager, force=force, field_validation="Ignore")

    async def get(self, kind: Kind, namespace: str, name: str, *, subresource: str = "") -> Object:
        """Read one object."""
        if subresource == "scale":
            return subresources.scale_of(self._registry.get(kind, namespace, name))
        return self._registry.get(kind, namespace, name)

    async def list(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_token: str = "",
    ) -> ObjectList:
        """Read many objects."""
        options = ListOptions(
            selectors.parse_label_selector(label_selector),
            selectors.parse_field_selector(field_selector),
            limit,
            continue_token,
        )
        return list_objects(self._registry, kind, namespace, options).as_list()

    async def create(
        self, kind: Kind, obj: Object, *, namespace: str = "", subresource: str = "", name: str = ""
    ) -> Object:
        """Create an object, or a subresource's."""
        namespace = namespace or obj.get("metadata", {}).get("namespace", "")
        if subresource:
            creator = subresources.CREATORS[subresource]
            return creator(self._registry, self._authenticator, namespace, name, obj)
        return self._registry.create(kind, namespace, obj, self._options())

    async def update(self, kind: Kind, obj: Object, *, subresource: str = "") -> Object:
        """Replace an object or a subresource of it."""
        metadata = obj["metadata"]
        return self._registry.update(
            kind,
            metadata.get("namespace", ""),
            metadata["name"],
            identity.replacing(kind, obj),
            self._options(),
            subresource=subresource,
        )

    async def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: object,
        *,
        patch_type: PatchType = "application/merge-patch+json",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
    ) -> Object:
        """Patch an object."""
        options = self._options(field_manager, force=force)
        if patch_type == APPLY:
            return self._registry.apply(kind, namespace, name, patch, options, subresource=subresource)[0]
        return self._registry.update(
            kind,
            namespace,
            name,
            lambda old: apply_patch(kind, old, patch, patch_type),
            options,
            subresource=subresource,
        )

    async def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        grace_period_s: int | None = None,
        propagation: Literal["Background", "Foreground", "Orphan"] | None = None,
        uid: str = "",
        resource_version: str = "",
    ) -> Object:
        """Delete an object."""
        options = DeleteOptions(grace_period_s, propagation, uid, resource_version)
        return deletion.delete(self._registry, kind, namespace, name, options)

    async def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
        send_initial_events: bool = False,
        timeout_s: float | None = None,
    ) -> AsyncIterator[WatchEvent]:
        """Follow changes."""
        selection = ListOptions(
            selectors.parse_label_selector(label_selector),
            selectors.parse_field_selector(field_selector),
            resource_version=resource_version,
        )
        options = watching.WatchOptions(
            selection, bookmarks=True, send_initial_events=send_initial_events or None, timeout_s=timeout_s
        )
        async for batch in watching.watch(self._registry, kind, namespace, options):
            for seen in batch:
                yield seen.event
