"""What every cluster has from its first second: namespaces, the Service `kubernetes`, its endpoints, the addons.

Objects that are there already are left as they are, so that what a user changed (the Corefile, say) survives a restart.
"""

from __future__ import annotations

import asyncio
import logging

from labctl.api import kinds
from labctl.api.kinds import Kind
from labctl.api.objects import Object, ObjectKey
from labctl.api.status import ApiError
from labctl.api.times import format_time
from labctl.api.validation.priorities import SYSTEM_CLASSES
from labctl.apiserver import default_roles
from labctl.apiserver.options import WriteOptions
from labctl.apiserver.registry import Registry
from labctl.config import API_PORT

_LOG = logging.getLogger(__name__)
_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_DESCRIPTIONS = {
    "system-cluster-critical": "For pods a cluster cannot do without, on whichever node.",
    "system-node-critical": "For pods a node cannot do without.",
}
_SELF = ObjectKey("default", "kubernetes")
_LABELS = {"component": "apiserver", "provider": "kubernetes"}


def bootstrap(registry: Registry) -> None:
    """Create what is missing."""
    for name in _NAMESPACES:
        _ensure(registry, kinds.NAMESPACE, "", {"metadata": {"name": name}})
    for name, value in SYSTEM_CLASSES.items():
        body = {"metadata": {"name": name}, "value": value, "description": _DESCRIPTIONS[name]}
        _ensure(registry, kinds.PRIORITY_CLASS, "", body)
    for role in default_roles.cluster_roles():
        _ensure(registry, kinds.CLUSTER_ROLE, "", role)
    for binding in default_roles.cluster_role_bindings():
        _ensure(registry, kinds.CLUSTER_ROLE_BINDING, "", binding)
    _ensure(registry, kinds.CONFIG_MAP, "kube-system", _ca("extension-apiserver-authentication", registry))
    ensure_kubernetes_service(registry)
    _ensure_service_cidr(registry)
    for addon in registry.config.addons:
        kind = kinds.of(addon)
        if kind is None:
            _LOG.warning("an addon of unknown kind %s is left out", addon.get("kind"))
            continue
        _ensure(registry, kind, addon["metadata"].get("namespace", ""), addon)


def _ensure_service_cidr(registry: Registry) -> None:
    """As kubernetes-service-cidr-controller makes it: kube-proxy knows from it which addresses are Services'."""
    if registry.exists(kinds.SERVICE_CIDR, "", _SELF.name):
        return
    spec = {"cidrs": [c for c in (registry.config.service_cidr, registry.config.service_cidr6) if c]}
    _ensure(registry, kinds.SERVICE_CIDR, "", {"metadata": {"name": _SELF.name}, "spec": spec})
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "",
        "message": "Kubernetes default Service CIDR is ready",
        "lastTransitionTime": format_time(registry.clock()),
    }

    def ready(old: Object) -> Object:
        return {**old, "status": {"conditions": [condition]}}

    registry.update(kinds.SERVICE_CIDR, "", _SELF.name, ready, _OPTIONS, subresource="status")


def ensure_kubernetes_service(registry: Registry) -> None:
    """The Service `kubernetes`, its Endpoints and EndpointSlice: the API server's own way to be found."""
    address = registry.config.control_plane_address
    _ensure(registry, kinds.SERVICE, _SELF.namespace, _service(registry))
    if not address:
        return
    subset = {"addresses": [{"ip": address}], "ports": [{"name": "https", "port": API_PORT, "protocol": "TCP"}]}
    mirror_off = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    _ensure_same(registry, kinds.ENDPOINTS, {"metadata": _meta(mirror_off), "subsets": [subset]})
    _ensure_same(
        registry,
        kinds.ENDPOINT_SLICE,
        {
            "metadata": _meta({"kubernetes.io/service-name": _SELF.name}),
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": API_PORT, "protocol": "TCP"}],
        },
    )


async def keep_kubernetes_service(registry: Registry) -> None:
    """Mend the Service `kubernetes` and its endpoints whenever somebody changes or deletes them, as kube-apiserver does."""
    async with asyncio.TaskGroup() as tasks:
        for kind in (kinds.SERVICE, kinds.ENDPOINTS, kinds.ENDPOINT_SLICE):
            tasks.create_task(_keep(registry, kind), name=f"{kind} kubernetes")


async def _keep(registry: Registry, kind: Kind) -> None:
    watcher = registry.store.watch(kind.group_resource)
    try:
        while (changes := await watcher.batch()) is not None:
            if any(c.key == _SELF for c in changes):
                await asyncio.sleep(0)
                ensure_kubernetes_service(registry)
    finally:
        watcher.close()


_OPTIONS = WriteOptions(field_validation="Ignore", field_manager="kube-apiserver")


def _ensure(registry: Registry, kind: Kind, namespace: str, obj: Object) -> None:
    # looked up first: an address asked for is taken by the very object before its name turns out to exist
    if registry.store.get(kind.group_resource, ObjectKey(namespace, obj["metadata"]["name"])) is not None:
        return
    try:
        registry.create(kind, namespace, obj, _OPTIONS)
    except ApiError as error:
        if error.reason != "AlreadyExists":
            raise


def _ensure_same(registry: Registry, kind: Kind, obj: Object) -> None:
    present = registry.store.get(kind.group_resource, _SELF)
    if present is None:
        _ensure(registry, kind, _SELF.namespace, obj)
        return
    wanted = {k: v for k, v in obj.items() if k != "metadata"}
    if any(present.get(k) != v for k, v in wanted.items()):
        registry.update(kind, *_SELF, lambda old: {**old, **wanted}, _OPTIONS)


def _meta(labels: dict[str, str]) -> Object:
    return {"name": _SELF.name, "namespace": _SELF.namespace, "labels": labels}


def _service(registry: Registry) -> Object:
    address = _first_address(registry.config.service_cidr)
    ports = [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": API_PORT}]
    spec = {
        "clusterIP": address,
        "clusterIPs": [address],
        "ports": ports,
        "type": "ClusterIP",
        "sessionAffinity": "None",
    }
    return {"metadata": _meta(_LABELS), "spec": spec}


def _first_address(cidr: str) -> str:
    import ipaddress

    return str(next(ipaddress.ip_network(cidr).hosts()))


def _ca(name: str, registry: Registry) -> Object:
    return {"metadata": {"name": name}, "data": {"client-ca-file": registry.config.credentials.ca_certificate}}
