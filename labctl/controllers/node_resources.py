"""Whether a node has what a pod asks for: kube-scheduler's NodeResourcesFit. Pure.

The nodes of a lab share one machine, and each says that it has all of it, as the nodes of other clusters in containers do.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from labctl.api import quantities, requests
from labctl.api.objects import Object

_CROWDED = "Too many pods"


def lacking(pod: Object, node: Object, there: Sequence[Object]) -> tuple[list[str], bool]:
    """What there is too little of, in kube-scheduler's words, and whether an empty node would have too little too."""
    offered = (node.get("status") or {}).get("allocatable")
    if not offered:  # its kubelet has not said yet
        return [], False
    reasons = [_CROWDED] if len(there) + 1 > _amount(offered, "pods") else []
    hopeless = _amount(offered, "pods") < 1
    wanted = {name: amount for name, amount in requests.of_pod(pod["spec"]).items() if amount}
    if wanted:
        taken = [requests.of_pod(other["spec"]) for other in there]
        for name, amount in sorted(wanted.items()):
            has = _amount(offered, name)
            if amount + sum((t.get(name, Decimal()) for t in taken), Decimal()) > has:
                reasons.append(f"Insufficient {name}")
                hopeless |= amount > has
    return reasons, hopeless


def _amount(offered: Object, name: str) -> Decimal:
    return quantities.parse(str(offered.get(name, 0))).amount
