"""Patches: JSON patch, JSON merge patch, strategic merge patch, and the three-way patch of `apply`.

    patches.json_patch(obj, [{"op": "replace", "path": "/spec/replicas", "value": 2}])
    patches.merge_patch(obj, {"spec": {"replicas": 2}})
    patches.strategic_merge_patch(kinds.DEPLOYMENT, obj, {"spec": {"replicas": 2}})
    patches.create_three_way_merge_patch(kinds.SERVICE, original, modified, current)

All are functions from values to values; nothing given is changed.
"""

from labctl.api.patches.create import create_three_way_merge_patch, create_two_way_merge_patch
from labctl.api.patches.json_patch import json_patch
from labctl.api.patches.merge import merge_patch
from labctl.api.patches.strategic import strategic_merge_patch

__all__ = [
    "create_three_way_merge_patch",
    "create_two_way_merge_patch",
    "json_patch",
    "merge_patch",
    "strategic_merge_patch",
]
