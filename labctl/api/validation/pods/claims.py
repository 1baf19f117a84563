"""The template of a claim that an ephemeral volume makes (ValidatePersistentVolumeClaimTemplate)."""

from __future__ import annotations

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation import meta
from labctl.api.validation.causes import all_invalid, forbidden, invalid, one_of, required

_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_ALONE = "ReadWriteOncePod"
_VOLUME_MODES = ("Block", "Filesystem")
_CLAIM = "PersistentVolumeClaim"
_ALLOWED_METADATA = ("labels", "annotations")


def template(path: str, wanted: Object) -> list[Cause]:
    """A PersistentVolumeClaimTemplate: of its metadata, labels and annotations count."""
    metadata = wanted.get("metadata") or {}
    causes = meta.annotation_keys(f"{path}.metadata.annotations", metadata.get("annotations") or {})
    causes += meta.labels(f"{path}.metadata.labels", metadata.get("labels") or {})
    causes += [
        forbidden(f"{path}.metadata.{'uID' if name == 'uid' else name}", "cannot be set")  # as Go's name becomes one
        for name, value in metadata.items()
        if name not in _ALLOWED_METADATA and value
    ]
    return causes + _spec(f"{path}.spec", wanted.get("spec") or {})


def _spec(path: str, spec: Object) -> list[Cause]:
    modes = spec.get("accessModes") or []
    causes = [] if modes else [required(f"{path}.accessModes", "at least 1 access mode is required")]
    if spec.get("selector") is not None:
        causes += meta.label_selector(f"{path}.selector", spec["selector"])
    for mode in modes:
        causes += one_of(f"{path}.accessModes", mode, _MODES)
    if _ALONE in modes and any(m in _MODES and m != _ALONE for m in modes):
        causes.append(forbidden(f"{path}.accessModes", f"may not use {_ALONE} with other access modes"))
    causes += _storage(f"{path}.resources[storage]", (spec.get("resources") or {}).get("requests") or {})
    causes += _class(f"{path}.storageClassName", spec.get("storageClassName"))
    if spec.get("volumeMode") is not None:
        causes += one_of(f"{path}.volumeMode", spec["volumeMode"], _VOLUME_MODES)
    causes += _sources(path, spec)
    return causes + _class(f"{path}.volumeAttributesClassName", spec.get("volumeAttributesClassName"))


def _storage(path: str, requests: Object) -> list[Cause]:
    from labctl.api import quantities  # decimal is not needed for pods without claims

    if "storage" not in requests:
        return [required(path)]
    size = requests["storage"]
    return [] if quantities.parse(str(size)).amount > 0 else [invalid(path, size, "must be greater than zero")]


def _class(path: str, name: str | None) -> list[Cause]:
    return all_invalid(path, name, names.dns1123_subdomain(name)) if name else []


def _sources(path: str, spec: Object) -> list[Cause]:
    old, new, causes = spec.get("dataSource"), spec.get("dataSourceRef"), list[Cause]()
    for name, source in (("dataSource", old), ("dataSourceRef", new)):
        causes += _source(f"{path}.{name}", source) if source is not None else []
    namespace = (new or {}).get("namespace")
    if namespace:
        causes += all_invalid(f"{path}.dataSourceRef.namespace", namespace, names.dns1123_label(namespace))
    if old is None or new is None:
        return causes
    if namespace:
        causes.append(invalid(path, {}, "may not be specified when dataSourceRef.namespace is specified"))
    elif any(old.get(name) != new.get(name) for name in ("apiGroup", "kind", "name")):
        causes.append(invalid(path, {}, "must match dataSourceRef"))
    return causes


def _source(path: str, source: Object) -> list[Cause]:
    causes = [required(f"{path}.{name}") for name in ("name", "kind") if not source.get(name)]
    group, kind = source.get("apiGroup") or "", source.get("kind", "")
    if not group and kind != _CLAIM:
        causes.append(invalid(path, kind, f"must be '{_CLAIM}' when referencing the default apiGroup"))
    return causes + (all_invalid(f"{path}.apiGroup", group, names.dns1123_subdomain(group)) if group else [])
