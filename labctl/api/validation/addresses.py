"""IPAddresses and ServiceCIDRs: pkg/apis/networking/validation."""

from __future__ import annotations

import ipaddress

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import all_invalid, cidr_complaints, invalid, required
from labctl.api.validation.references import segment


def validate_address(address: Object) -> list[Cause]:
    """An IPAddress: whose it is."""
    parent, path = (address.get("spec") or {}).get("parentRef"), "spec.parentRef"
    if parent is None:
        return [required(path)]
    causes: list[Cause] = []
    if group := parent.get("group"):
        causes += all_invalid(f"{path}.group", group, names.dns1123_subdomain(group))
    causes += segment(f"{path}.resource", parent.get("resource"))
    causes += segment(f"{path}.name", parent.get("name"))
    return causes + (segment(f"{path}.namespace", parent["namespace"]) if parent.get("namespace") else [])


def validate_address_update(new: Object, old: Object) -> list[Cause]:
    """An IPAddress keeps its parent."""
    after, before = ((o.get("spec") or {}).get("parentRef") for o in (new, old))
    if after == before:
        return []
    names_shown = ("group", "resource", "namespace", "name")
    shown = None if after is None else {n.title(): after.get(n, "") for n in names_shown}
    return [invalid("spec.parentRef", shown, "field is immutable")]


def validate_cidr(cidr: Object) -> list[Cause]:
    """A ServiceCIDR: one range of each family at most."""
    return _ranges((cidr.get("spec") or {}).get("cidrs") or [])


def _ranges(ranges: list[str]) -> list[Cause]:
    path = "spec.cidrs"
    if not ranges:
        return [required(path, "at least one CIDR required")]
    if len(ranges) > 2:
        return [invalid(path, {"CIDRs": ranges}, "may only hold up to 2 values")]
    causes = [c for i, text in enumerate(ranges) for c in all_invalid(f"{path}[{i}]", text, _range(text))]
    if len(ranges) > 1 and not causes and (":" in ranges[0]) == (":" in ranges[1]):
        detail = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        causes.append(invalid(path, ranges, detail))
    return causes


def _range(text: str) -> list[str]:
    """A range in the one way of writing it that counts."""
    if complaints := cidr_complaints(text):
        return complaints
    canonical = str(ipaddress.ip_network(text))
    return [] if text == canonical else [f'must be in canonical form ("{canonical}")']


def validate_cidr_update(new: Object, old: Object) -> list[Cause]:
    """A ServiceCIDR may get a second range and nothing else."""
    after, before = ((o.get("spec") or {}).get("cidrs") or [] for o in (new, old))
    if len(after) == len(before) or (len(before) == 1 and len(after) == 2):
        causes = [
            invalid(f"spec.cidrs[{index}]", after[index], "field is immutable")
            for index, text in enumerate(before)
            if text != after[index]
        ]
        return causes + (_ranges(after) if len(after) > len(before) else [])
    return [invalid("spec.cidrs", after or None, "field is immutable")]
