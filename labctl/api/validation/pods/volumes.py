"""The volumes of a pod: each has one source, and the source's fields make sense (ValidateVolumes)."""

from __future__ import annotations

from collections.abc import Iterable

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import all_invalid, duplicate, forbidden, invalid, one_of, required
from labctl.api.validation.pods import claims, storage
from labctl.api.validation.pods.paths import file_mode, no_backsteps
from labctl.api.validation.pods.projected import downward_file, key_to_path, projected
from labctl.api.validation.pods.scope import Scope

_HOST_PATHS = ("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket")
_PULL = ("Always", "IfNotPresent", "Never")
_TOO_LONG = (
    "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters "
    "if iscsi.initiatorName is specified."
)
_MAX_PORTAL = 64
# Where Kubernetes looks for a second source, in its order, and the name of the field where its messages differ.
_SOURCES = {
    "emptyDir": "",
    "hostPath": "",
    "gitRepo": "",
    "gcePersistentDisk": "",
    "awsElasticBlockStore": "",
    "secret": "",
    "nfs": "",
    "iscsi": "",
    "glusterfs": "",
    "flocker": "",
    "persistentVolumeClaim": "",
    "rbd": "",
    "cinder": "",
    "cephfs": "cephFS",
    "quobyte": "",
    "downwardAPI": "downwarAPI",
    "fc": "",
    "flexVolume": "",
    "configMap": "",
    "azureFile": "",
    "vsphereVolume": "",
    "photonPersistentDisk": "",
    "portworxVolume": "",
    "azureDisk": "",
    "storageos": "",
    "projected": "",
    "scaleIO": "",
    "csi": "",
    "ephemeral": "",
    "image": "",
}


def validate(path: str, volumes: Iterable[Object], scope: Scope) -> tuple[list[Cause], dict[str, Object]]:
    """What is wrong, and the volumes that are right by their names: only those can be mounted."""
    causes, right = list[Cause](), dict[str, Object]()
    made = {f"{scope.pod_name}-{v.get('name', '')}" for v in volumes if v.get("ephemeral")} if scope.pod_name else set()
    for index, volume in enumerate(volumes):
        here, name = f"{path}[{index}]", volume.get("name", "")
        wrong = _source(here, volume, name, scope)
        wrong += all_invalid(f"{here}.name", name, names.dns1123_label(name)) if name else [required(f"{here}.name")]
        if name in right:
            wrong.append(duplicate(f"{here}.name", name))
        if not wrong:
            right[name] = volume
        causes += wrong
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if claim in made:
            detail = "must not reference a PVC that gets created for an ephemeral volume"
            causes.append(invalid(f"{here}.persistentVolumeClaim.claimName", claim, detail))
    return causes, right


def _source(path: str, volume: Object, name: str, scope: Scope) -> list[Cause]:
    causes, first = list[Cause](), ""
    for kind, spelled in _SOURCES.items():
        source = volume.get(kind)
        if source is None:
            continue
        if first:
            causes.append(forbidden(f"{path}.{spelled or kind}", "may not specify more than 1 volume type"))
        else:
            first = kind
            causes += (
                _image(f"{path}.image", source, needs_reference=scope.is_pod)
                if kind == "image"
                else _CHECKS[kind](f"{path}.{kind}", source)
            )
            if kind == "ephemeral":
                causes += _claim_name(path, name, scope)
        portal = f"{name}:{source.get('targetPortal', '')}" if source.get("initiatorName") is not None else ""
        if kind == "iscsi" and len(portal) > _MAX_PORTAL:
            causes.append(invalid(f"{path}.name", name, _TOO_LONG))
    return causes if first else [*causes, required(path, "must specify a volume type")]


def _claim_name(path: str, name: str, scope: Scope) -> list[Cause]:
    if not scope.pod_name or not name:
        return []
    claim = f"{scope.pod_name}-{name}"
    return [invalid(f"{path}.name", name, f'PVC name "{claim}": {detail}') for detail in names.dns1123_subdomain(claim)]


def _empty_dir(path: str, source: Object) -> list[Cause]:
    from labctl.api import quantities  # decimal is not needed for pods without limits

    limit = source.get("sizeLimit")
    if limit is None or quantities.parse(str(limit)).amount >= 0:
        return []
    return [forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")]


def _host_path(path: str, source: Object) -> list[Cause]:
    target = source.get("path", "")
    if not target:
        return [required(f"{path}.path")]
    causes = no_backsteps(f"{path}.path", target)
    return causes + (one_of(f"{path}.type", source["type"], _HOST_PATHS) if source.get("type") is not None else [])


def _keys(name: str) -> storage.Check:
    """A ConfigMap or Secret whose keys become files."""

    def check(path: str, source: Object) -> list[Cause]:
        causes = [] if source.get(name) else [required(f"{path}.{name}")]
        causes += file_mode(f"{path}.defaultMode", source.get("defaultMode"))
        for index, item in enumerate(source.get("items") or ()):
            causes += key_to_path(f"{path}.items[{index}]", item)
        return causes

    return check


def _downward(path: str, source: Object) -> list[Cause]:
    causes = file_mode(f"{path}.defaultMode", source.get("defaultMode"))
    for item in source.get("items") or ():
        causes += downward_file(path, item)
    return causes


def _image(path: str, source: Object, *, needs_reference: bool) -> list[Cause]:
    missing = needs_reference and not source.get("reference")
    causes = [required(f"{path}.reference")] if missing else []
    policy = source.get("pullPolicy", "")
    return causes + (one_of(f"{path}.pullPolicy", policy, _PULL) if policy else [required(f"{path}.pullPolicy")])


def _ephemeral(path: str, source: Object) -> list[Cause]:
    template = source.get("volumeClaimTemplate")
    if template is None:
        return [required(f"{path}.volumeClaimTemplate")]
    return claims.template(f"{path}.volumeClaimTemplate", template)


_CHECKS: dict[str, storage.Check] = {
    **storage.CHECKS,
    "emptyDir": _empty_dir,
    "hostPath": _host_path,
    "secret": _keys("secretName"),
    "configMap": _keys("name"),
    "downwardAPI": _downward,
    "projected": projected,
    "ephemeral": _ephemeral,
}
