"""Pods and pod templates: pkg/apis/core/validation, whole. Also what a lab cannot run is looked at, as the API server's
job; what happens to it then is the kubelet's.
"""

from __future__ import annotations

from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation import meta
from labctl.api.validation.causes import forbidden
from labctl.api.validation.pods import containers, pod_annotations, updates
from labctl.api.validation.pods import spec as whole
from labctl.api.validation.pods.scope import Scope

validate_update = updates.validate


def validate(pod: Object) -> list[Cause]:
    """A Pod (validatePodMetadataAndSpec)."""
    spec = pod["spec"]
    scope = Scope(spec, is_pod=True, pod_name=pod["metadata"].get("name", ""))
    causes = pod_annotations.validate("metadata.annotations", pod["metadata"].get("annotations") or {}, scope)
    causes += whole.validate("spec", scope) + _tokens(spec)
    for group in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(group) or ()):
            causes += containers.image_padding(f"spec.{group}[{index}]", container)
    return causes


def _tokens(spec: Object) -> list[Cause]:
    if spec.get("serviceAccountName"):
        return []
    return [
        forbidden(
            f"spec.volumes[{v}].projected.sources[{s}].serviceAccountToken",
            "must not be specified when serviceAccountName is not set",
        )
        for v, volume in enumerate(spec.get("volumes") or ())
        for s, source in enumerate((volume.get("projected") or {}).get("sources") or ())
        if source.get("serviceAccountToken") is not None
    ]


def validate_create(pod: Object) -> list[Cause]:
    """What only a new Pod has to be."""
    spec, causes = pod["spec"], list[Cause]()
    if spec.get("ephemeralContainers"):
        causes.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        causes.append(forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))
    scope = Scope(spec, is_pod=True)
    return causes + pod_annotations.against_fields("spec", pod["metadata"].get("annotations") or {}, scope)


def validate_ephemeral_update(new: Object, old: Object) -> list[Cause]:
    """A Pod with the ephemeral containers that it is to have."""
    return validate(new) + updates.validate_ephemeral(new, old)


def template(path: str, wanted: Object) -> list[Cause]:
    """The template of pods in another object (ValidatePodTemplateSpec)."""
    metadata, spec = wanted.get("metadata") or {}, wanted.get("spec") or {}
    notes, scope = metadata.get("annotations") or {}, Scope(spec, is_pod=False)
    causes = meta.labels(f"{path}.labels", metadata.get("labels") or {})
    causes += meta.annotation_keys(f"{path}.annotations", notes)
    causes += pod_annotations.validate(f"{path}.annotations", notes, scope)
    causes += whole.validate(f"{path}.spec", scope)
    causes += pod_annotations.against_fields(f"{path}.spec", notes, scope)
    if spec.get("ephemeralContainers"):
        detail = "ephemeral containers not allowed in pod template"
        causes.append(forbidden(f"{path}.spec.ephemeralContainers", detail))
    return causes
