"""The order in which Kubernetes lists the ports of Endpoints and EndpointSlices: by a hash of each. Pure.

`kubectl get endpoints` prints ports in this order, which looks like chance. The hash is FNV-1a of 128 bits over the text that
Go's spew makes of the struct (k8s.io/utils/dump.ForHash), whose fields come in the order of their declaration.
"""

from __future__ import annotations

from functools import lru_cache

from labctl.api.objects import Object

_OFFSET, _PRIME = 0x6C62272E07BB014262B821756295C58D, 0x0000000001000000000000000000013B


@lru_cache(maxsize=1024)
def fnv1a_128(data: bytes) -> int:
    """FNV-1a, 128 bits. http://www.isthe.com/chongo/tech/comp/fnv/"""
    value = _OFFSET
    for byte in data:
        value = (value ^ byte) * _PRIME % (1 << 128)
    return value


def of_endpoints(port: Object) -> int:
    """The sort key of a core/v1 EndpointPort."""
    text = (
        f"(v1.EndpointPort){{Name:(string){port.get('name', '')} Port:(int32){port['port']} "
        f"Protocol:(v1.Protocol){port.get('protocol', 'TCP')} AppProtocol:(*string){port.get('appProtocol', '<nil>')}}}"
    )
    return fnv1a_128(text.encode())


def of_slice(port: Object) -> int:
    """The sort key of a discovery/v1 EndpointPort."""
    text = (
        f"(v1.EndpointPort){{Name:(*string){port.get('name', '')} Protocol:(*v1.Protocol){port.get('protocol', 'TCP')} "
        f"Port:(*int32){port['port']} AppProtocol:(*string){port.get('appProtocol', '<nil>')}}}"
    )
    return fnv1a_128(text.encode())
