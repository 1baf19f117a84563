"""The generation of this network namespace's packet filter: the kernel counts every committed change of nf_tables.

Asking costs one message, reading ten thousand Services' rules costs seconds; so the rules are looked at only when the
number changed by somebody else's doing. iptables counts too, for iptables-nft keeps its rules in nf_tables.
"""

from __future__ import annotations

import socket
import struct

_NETLINK_NETFILTER = 12  # linux/netlink.h
_GET_GENERATION = 10 << 8 | 16  # NFNL_SUBSYS_NFTABLES, NFT_MSG_GETGEN (linux/netfilter/nf_tables.h)
_NLM_F_REQUEST, _NLMSG_ERROR, _NFTA_GEN_ID = 1, 2, 1
_HEADER, _GENERIC = struct.Struct("=IHHII"), struct.Struct("=BBH")  # nlmsghdr, nfgenmsg


def current() -> int:
    """The present generation. Raises OSError when the kernel does not tell."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as kernel:
        kernel.settimeout(1)
        kernel.sendto(request(), (0, 0))
        return parse(kernel.recv(4096))


def request() -> bytes:
    """The message that asks."""
    return _HEADER.pack(_HEADER.size + _GENERIC.size, _GET_GENERATION, _NLM_F_REQUEST, 1, 0) + _GENERIC.pack(0, 0, 0)


def parse(message: bytes) -> int:
    """The generation in an answer: an attribute of four bytes, big-endian. Raises OSError."""
    _, kind, *_ = _HEADER.unpack_from(message)
    if kind == _NLMSG_ERROR:
        (code,) = struct.unpack_from("=i", message, _HEADER.size)
        raise OSError(-code, "asking for the generation of the packet filter")
    at = _HEADER.size + _GENERIC.size
    while at + 4 <= len(message):
        length, attribute = struct.unpack_from("=HH", message, at)
        if attribute & 0x3FFF == _NFTA_GEN_ID:
            return int.from_bytes(message[at + 4 : at + 8], "big")
        at += max(4, (length + 3) & ~3)
    raise OSError("the kernel did not name the generation of the packet filter")
