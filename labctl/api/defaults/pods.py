"""Defaults of pods and of the pod templates in workloads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

from labctl.api import images, quantities
from labctl.api.objects import Object
from labctl.api.schema import struct

_FILE_MODE = 0o644
_OLD_ANNOTATIONS = frozenset(
    f"pod.{stage}.kubernetes.io/init-container{what}" for stage in ("alpha", "beta") for what in ("s", "-statuses")
)


def pod(obj: Object) -> None:
    """What only real pods get, not templates: requests from limits, service links, host ports."""
    spec = obj.setdefault("spec", {})
    template(obj)
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        spec["terminationGracePeriodSeconds"] = 1
    for container in _containers(spec):
        resources = container.get("resources") or {}
        limits = resources.get("limits")
        if limits:
            container["resources"] = {**resources, "requests": {**limits, **(resources.get("requests") or {})}}
    if spec.get("resources"):
        _pod_level_resources(spec)
    if spec.get("enableServiceLinks") is None:
        spec["enableServiceLinks"] = True
    if spec.get("hostNetwork"):
        for container in _containers(spec):
            for port in container.get("ports") or ():
                if not port.get("hostPort"):
                    port["hostPort"] = port.get("containerPort", 0)


def template(obj: Object) -> None:
    """Annotations that carried init containers before there was a field for them are dropped."""
    metadata = obj.get("metadata") or {}
    annotations = metadata.get("annotations")
    if annotations and not _OLD_ANNOTATIONS.isdisjoint(annotations):
        metadata["annotations"] = {key: text for key, text in annotations.items() if key not in _OLD_ANNOTATIONS}


def _containers(spec: Object) -> Iterator[Object]:
    yield from spec.get("containers") or ()
    yield from spec.get("initContainers") or ()


def _pod_level_resources(spec: Object) -> None:
    """Limits and requests of the whole pod follow from its containers' where it has some of its own."""
    resources = spec["resources"]
    if resources.get("limits") or resources.get("requests"):
        limits = dict(resources.get("limits") or {})
        for name, amount in _sum_of_containers(spec, "limits").items():
            if name.startswith("hugepages-") and name not in (resources.get("requests") or {}):
                limits.setdefault(name, amount)
        if limits:
            resources["limits"] = limits
    if resources.get("limits"):
        requests = dict(resources.get("requests") or {})
        for name, amount in _sum_of_containers(spec, "requests").items():
            if name in ("cpu", "memory"):
                requests.setdefault(name, amount)
        for name, amount in resources["limits"].items():
            if name in ("cpu", "memory") or name.startswith("hugepages-"):
                requests.setdefault(name, amount)
        if requests:
            resources["requests"] = requests


def _sum_of_containers(spec: Object, what: str) -> dict[str, str]:
    """What a pod needs at most at one moment: its containers together, or one init container with the sidecars."""

    def amounts(container: Object) -> dict[str, Decimal]:
        found = (container.get("resources") or {}).get(what) or {}
        formats.update({name: quantities.parse(str(q)).format for name, q in found.items()})
        return {name: quantities.parse(str(q)).amount for name, q in found.items()}

    def add(total: dict[str, Decimal], more: dict[str, Decimal]) -> dict[str, Decimal]:
        return {name: total.get(name, Decimal(0)) + more.get(name, Decimal(0)) for name in {**total, **more}}

    formats: dict[str, quantities.Format] = {}
    together: dict[str, Decimal] = {}
    for container in spec.get("containers") or ():
        together = add(together, amounts(container))
    sidecars: dict[str, Decimal] = {}
    peak: dict[str, Decimal] = {}
    for container in spec.get("initContainers") or ():
        mine = amounts(container)
        if container.get("restartPolicy") == "Always":
            together, sidecars = add(together, mine), add(sidecars, mine)
            mine = sidecars
        else:
            mine = add(mine, sidecars)
        peak = {name: max(peak.get(name, Decimal(0)), mine.get(name, Decimal(0))) for name in {**peak, **mine}}
    names = sorted({**together, **peak})
    highest = {name: max(together.get(name, Decimal(0)), peak.get(name, Decimal(0))) for name in names}
    return {name: str(quantities.Quantity(amount, formats[name])) for name, amount in highest.items()}


def pod_spec(obj: Object) -> None:
    """Policies, grace period, scheduler; serviceAccount is the old name of serviceAccountName."""
    for name, value in (
        ("dnsPolicy", "ClusterFirst"),
        ("restartPolicy", "Always"),
        ("schedulerName", "default-scheduler"),
    ):
        if not obj.get(name):
            obj[name] = value
    if obj.get("securityContext") is None:
        obj["securityContext"] = {}
    if obj.get("terminationGracePeriodSeconds") is None:
        obj["terminationGracePeriodSeconds"] = 30
    account = obj.get("serviceAccountName") or obj.get("serviceAccount")
    if account:
        obj["serviceAccountName"] = obj["serviceAccount"] = account


def container(obj: Object) -> None:
    """Pull policy by tag, termination message."""
    if not obj.get("imagePullPolicy"):
        obj["imagePullPolicy"] = _pull_policy(obj.get("image") or "")
    if not obj.get("terminationMessagePath"):
        obj["terminationMessagePath"] = "/dev/termination-log"
    if not obj.get("terminationMessagePolicy"):
        obj["terminationMessagePolicy"] = "File"


def _pull_policy(image: str) -> str:
    parsed = images.parse(image)
    return "Always" if parsed is not None and parsed.tag == "latest" else "IfNotPresent"


def volume(obj: Object) -> None:
    """A volume without a source is an emptyDir; an image volume is pulled by its tag."""
    sources = (f.name for f in struct("core/v1.Volume").fields.values() if f.inlined)
    if all(obj.get(source) is None for source in sources):
        obj["emptyDir"] = {}
    image = obj.get("image")
    if image is not None and not image.get("pullPolicy"):
        image["pullPolicy"] = _pull_policy(image.get("reference") or "")


def probe(obj: Object) -> None:
    """Seconds and thresholds."""
    for name, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)):
        if not obj.get(name):
            obj[name] = value


def http_get(obj: Object) -> None:
    """Path and scheme."""
    if not obj.get("path"):
        obj["path"] = "/"
    if not obj.get("scheme"):
        obj["scheme"] = "HTTP"


def _unless_set(name: str, value: object) -> Callable[[Object], None]:
    def rule(obj: Object) -> None:
        if obj.get(name) is None:
            obj[name] = value

    return rule


def field_selector(obj: Object) -> None:
    """Fields are those of v1 objects."""
    if not obj.get("apiVersion"):
        obj["apiVersion"] = "v1"


RULES = {
    "core/v1.Pod": pod,
    "core/v1.PodTemplateSpec": template,
    "core/v1.PodSpec": pod_spec,
    "core/v1.Container": container,
    "core/v1.EphemeralContainer": container,
    "core/v1.Volume": volume,
    "core/v1.Probe": probe,
    "core/v1.HTTPGetAction": http_get,
    "core/v1.ObjectFieldSelector": field_selector,
    "core/v1.SecretVolumeSource": _unless_set("defaultMode", _FILE_MODE),
    "core/v1.ConfigMapVolumeSource": _unless_set("defaultMode", _FILE_MODE),
    "core/v1.DownwardAPIVolumeSource": _unless_set("defaultMode", _FILE_MODE),
    "core/v1.ProjectedVolumeSource": _unless_set("defaultMode", _FILE_MODE),
    "core/v1.ServiceAccountTokenProjection": _unless_set("expirationSeconds", 3600),
    "core/v1.HostPathVolumeSource": _unless_set("type", ""),
    "core/v1.PersistentVolumeClaimSpec": _unless_set("volumeMode", "Filesystem"),
}
