"""Every namespace gets a ServiceAccount `default` and the ConfigMap `kube-root-ca.crt`."""

from __future__ import annotations

from labctl.api import kinds
from labctl.api.objects import Object, ObjectKey, key_of
from labctl.api.status import ApiError
from labctl.controllers.context import Context, KeyController
from labctl.controllers.namespaces import is_terminating, suppress_gone

_ACCOUNT, _CA = "default", "kube-root-ca.crt"
_NOTE = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."
)


class ServiceAccounts(KeyController):
    """Keys are namespaces."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        context.on_change(kinds.NAMESPACE, self.enqueue)
        context.on_change(kinds.SERVICE_ACCOUNT, self._content_changed)
        context.on_change(kinds.CONFIG_MAP, self._content_changed)

    def _content_changed(self, old: Object | None, new: Object | None) -> None:
        key = key_of(new or old or {})
        if key.name == _CA or (new is None and key.name == _ACCOUNT):
            self.queue.add(ObjectKey("", key.namespace))

    async def reconcile(self, key: ObjectKey) -> None:
        """Create what a namespace is missing."""
        namespace = self.context.get(kinds.NAMESPACE, key)
        if namespace is None or namespace["metadata"].get("deletionTimestamp"):
            return
        if self.context.get(kinds.SERVICE_ACCOUNT, ObjectKey(key.name, _ACCOUNT)) is None:
            await self._create(kinds.SERVICE_ACCOUNT, {"metadata": {"name": _ACCOUNT, "namespace": key.name}})
        wanted = {"ca.crt": self.context.config.credentials.ca_certificate}
        present = self.context.get(kinds.CONFIG_MAP, ObjectKey(key.name, _CA))
        if present is None:
            meta = {"name": _CA, "namespace": key.name, "annotations": {"kubernetes.io/description": _NOTE}}
            await self._create(kinds.CONFIG_MAP, {"metadata": meta, "data": wanted})
        elif present.get("data") != wanted:
            with suppress_gone():  # of one that is another by now we will hear
                await self.context.api.update(kinds.CONFIG_MAP, {**present, "data": wanted})

    async def _create(self, kind: kinds.Kind, obj: Object) -> None:
        try:
            await self.context.api.create(kind, obj)
        except ApiError as error:
            if error.reason != "AlreadyExists" and not is_terminating(error):
                raise
