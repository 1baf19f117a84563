"""References to fields of the pod and to amounts of its containers (the downward API)."""

from __future__ import annotations

import re

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import all_invalid, invalid, one_of, required

VOLUME_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
ENV_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
_KNOWN = {*ENV_FIELDS, *VOLUME_FIELDS, "spec.restartPolicy", "spec.schedulerName", "status.phase"}
_ALIASES = {"spec.host": "spec.nodeName"}  # clients of long ago send it
_SUBSCRIPT = re.compile(r"(.*?)\['(.*)'\]", re.DOTALL)
_WITH_KEYS = ("metadata.annotations", "metadata.labels")
_SIZES = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_RESOURCES = tuple(
    f"{side}.{name}" for side in ("limits", "requests") for name in ("cpu", "memory", "ephemeral-storage")
)
_PAGES = ("requests.hugepages-", "limits.hugepages-")


def field(path: str, reference: Object, allowed: tuple[str, ...]) -> list[Cause]:
    """An ObjectFieldSelector: `metadata.name`, `metadata.labels['app']`."""
    version, wanted = reference.get("apiVersion", ""), reference.get("fieldPath", "")
    for name, value in (("apiVersion", version), ("fieldPath", wanted)):
        if not value:
            return [required(f"{path}.{name}")]
    if problem := _not_convertible(version, wanted):
        return [invalid(f"{path}.fieldPath", wanted, f"error converting fieldPath: {problem}")]
    if match := _SUBSCRIPT.fullmatch(wanted):
        key = match[2].lower() if match[1] == "metadata.annotations" else match[2]
        return all_invalid(path, key, names.qualified_name(key))
    return one_of(f"{path}.fieldPath", _ALIASES.get(wanted, wanted), allowed)


def _not_convertible(version: str, wanted: str) -> str:
    if version != "v1":
        return f"unsupported pod version: {version}"
    if match := _SUBSCRIPT.fullmatch(wanted):
        return "" if match[1] in _WITH_KEYS else f"field label does not support subscript: {wanted}"
    return "" if wanted in _KNOWN or wanted in _ALIASES else f"field label not supported: {wanted}"


def resource(path: str, reference: Object, *, in_volume: bool) -> list[Cause]:
    """A ResourceFieldSelector: `limits.cpu` of a container, in units of a divisor."""
    wanted, causes = reference.get("resource", ""), list[Cause]()
    if in_volume and not reference.get("containerName"):
        causes.append(required(f"{path}.containerName"))
    elif not wanted:
        causes.append(required(f"{path}.resource"))
    elif not wanted.startswith(_PAGES):
        causes += one_of(f"{path}.resource", wanted, _RESOURCES)
    return causes + _divisor(f"{path}.divisor", wanted, str(reference.get("divisor") or "0"))


def _divisor(path: str, wanted: str, divisor: str) -> list[Cause]:
    from labctl.api import quantities  # decimal is not needed for pods without divisors

    if divisor == "0" or not quantities.parse(divisor).amount:
        return []
    canonical = str(quantities.parse(divisor))
    kind = wanted.partition(".")[2]
    if kind == "cpu":
        wrong, what, allowed = canonical not in ("1m", "1"), "cpu", "1m and 1"
    elif kind in ("memory", "ephemeral-storage") or wanted.startswith(_PAGES):
        what = {"memory": "memory", "ephemeral-storage": "local ephemeral storage"}.get(kind, "hugepages")
        wrong, allowed = canonical not in _SIZES, ", ".join(_SIZES)
    else:
        return []
    detail = f"only divisor's values {allowed} are supported with the {what} resource"
    return [invalid(path, wanted, detail)] if wrong else []
