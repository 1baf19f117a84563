"""Commands that mend, as a learner would type them."""

from __future__ import annotations

import json
from typing import Any

from labctl.api.objects import Object, key_of


def json_patch(kind: str, name: str, namespace: str, path: str, value: Any, *, op: str = "replace") -> str:
    """`kubectl patch` of one field by a JSON patch."""
    patch = json.dumps([{"op": op, "path": path, "value": value}], separators=(",", ":"))
    return f"kubectl patch {kind} {name} -n {namespace} --type=json -p '{patch}'"


def merge_patch(kind: str, name: str, namespace: str, **spec: Any) -> str:
    """`kubectl patch` of fields of the spec."""
    return f"kubectl patch {kind} {name} -n {namespace} -p '{json.dumps({'spec': spec}, separators=(',', ':'))}'"


def workload_of(pod: Object) -> tuple[str, str]:
    """Kind and name of what to change to change a pod: its Deployment, or the pod itself."""
    for owner in pod["metadata"].get("ownerReferences") or ():
        if owner.get("kind") == "ReplicaSet":
            return "deploy", str(owner["name"]).rpartition("-")[0]
    return "pod", key_of(pod).name


def logs(pod: Object, container: str, *, previous: bool = False) -> str:
    """`kubectl logs` of a container, or of the one before it."""
    namespace, name = key_of(pod)
    return f"kubectl logs {name} -c {container} -n {namespace}" + (" --previous" if previous else "")
