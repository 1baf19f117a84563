"""Warnings that come with an accepted write, in the words of Kubernetes' registry strategies (WarningsOnCreate, …OnUpdate).

    texts = warnings.of_new(kinds.SERVICE, obj)
    texts = warnings.of_changed(kinds.SERVICE, new, old)

Objects are valid and defaulted. Humans seldom update Pods by hand, so Kubernetes is silent then.
"""

from __future__ import annotations

import base64

from labctl.api import kinds, names
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.api.warnings import pods, services

_WITH_TEMPLATE = (kinds.DEPLOYMENT, kinds.REPLICA_SET, kinds.REPLICATION_CONTROLLER)
_TEMPLATE = "spec.template"
_TLS = "kubernetes.io/tls"
_PEM = b"-----BEGIN "
_INGRESS_CLASS = "kubernetes.io/ingress.class"


def of_new(kind: Kind, obj: Object) -> list[str]:
    """What Kubernetes warns of when the object is created."""
    if kind is kinds.POD:
        return _name(obj, "the Pod's hostname") + pods.of_template(obj, "")
    if kind in _WITH_TEMPLATE:
        template = obj["spec"].get("template") or {}
        return _name(obj, "Pod names and hostnames") + pods.of_template(template, _TEMPLATE)
    if kind is kinds.INGRESS and _INGRESS_CLASS in (obj["metadata"].get("annotations") or {}):
        return [f"annotation \"{_INGRESS_CLASS}\" is deprecated, please use 'spec.ingressClassName' instead"]
    return _of_any(kind, obj)


def of_changed(kind: Kind, new: Object, old: Object) -> list[str]:
    """What Kubernetes warns of when the object is replaced or patched."""
    if kind in _WITH_TEMPLATE:
        changed = new["metadata"].get("generation") != old["metadata"].get("generation")
        return pods.of_template(new["spec"].get("template") or {}, _TEMPLATE) if changed else []
    return _of_any(kind, new)


def _of_any(kind: Kind, obj: Object) -> list[str]:
    if kind is kinds.SERVICE:
        return services.of(obj)
    if kind is kinds.SECRET and obj.get("type") == _TLS:
        return _certificates(obj.get("data") or {})
    if kind is kinds.ENDPOINT_SLICE and obj.get("addressType") == "FQDN":
        return ["spec.addressType: FQDN endpoints are deprecated"]
    return []


def _certificates(data: Object) -> list[str]:
    """The first thing that a TLS server would stumble over (tls.X509KeyPair), as far as PEM goes."""
    for name, what in (("tls.crt", "certificate"), ("tls.key", "key")):
        if _PEM not in base64.b64decode(data.get(name, "")):
            return [f"tls: failed to find any PEM data in {what} input"]
    return []


def _name(obj: Object, used_in: str) -> list[str]:
    complaints = names.dns1123_label(obj["metadata"].get("name", ""))
    if not complaints:
        return []
    text = (
        f"metadata.name: this is used in {used_in}, which can result in surprising behavior; a DNS label is recommended"
    )
    return [f"{text}: [{' '.join(complaints)}]"]
