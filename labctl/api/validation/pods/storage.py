"""Volumes of clouds and storage systems, which no lab has: that they are well-formed (pkg/apis/core/validation)."""

from __future__ import annotations

import re
from collections.abc import Callable

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import all_invalid, invalid, one_of, required, too_long, unsupported
from labctl.api.validation.pods.paths import descending

Check = Callable[[str, Object], list[Cause]]
_INITIATORS = {
    "iqn": re.compile(r"iqn\.\d{4}-\d{2}\.([a-zA-Z0-9-.]+)(:[^,;*&$|\s]+)", re.ASCII),
    "eui": re.compile(r"eui.[a-zA-Z0-9]{16}"),
    "naa": re.compile(r"naa.[a-zA-Z0-9]{32}"),
}
_CACHING = ("None", "ReadOnly", "ReadWrite")
_DISKS = ("Dedicated", "Managed", "Shared")
_MANAGED_URI = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
_BLOB_URI = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"
_PAIRS = "must be a host:port pair or multiple pairs separated by commas"
_MAX_UNIT = 255
_MAX_TENANT = 64
_MAX_DRIVER = 63


def needs(*fields: str) -> Check:
    """A source with fields that must be there."""
    return lambda path, source: [required(f"{path}.{name}") for name in fields if not source.get(name)]


def _git_repo(path: str, source: Object) -> list[Cause]:
    return needs("repository")(path, source) + descending(f"{path}.directory", source.get("directory", ""))


def _disk(name: str, prefix: str = "") -> Check:
    """A disk of a cloud; Kubernetes has another name for one of them in its messages."""

    def check(path: str, source: Object) -> list[Cause]:
        here = path.rpartition(".")[0] + f".{prefix}" if prefix else path
        partition = source.get("partition", 0)
        causes = needs(name)(here, source)
        if not 0 <= partition <= _MAX_UNIT:
            causes.append(invalid(f"{here}.partition", partition, names.in_range(1, _MAX_UNIT)))
        return causes

    return check


def _nfs(path: str, source: Object) -> list[Cause]:
    target = source.get("path", "")
    causes = needs("server", "path")(path, source)
    return causes if target.startswith("/") else [*causes, invalid(f"{path}.path", target, "must be an absolute path")]


def _iscsi(path: str, source: Object) -> list[Cause]:
    causes = needs("targetPortal", "iqn")(path, source)
    if source.get("iqn"):
        causes += _initiator(f"{path}.iqn", source["iqn"])
    causes += _unit(f"{path}.lun", source.get("lun", 0))
    if (source.get("chapAuthDiscovery") or source.get("chapAuthSession")) and source.get("secretRef") is None:
        causes.append(required(f"{path}.secretRef"))
    if source.get("initiatorName") is not None:
        causes += _initiator(f"{path}.initiatorname", source["initiatorName"])
    return causes


def _initiator(path: str, name: str) -> list[Cause]:
    form = _INITIATORS.get(name[:3])
    if form is None:
        return [invalid(path, name, "must be valid format starting with iqn, eui, or naa")]
    return [] if form.fullmatch(name) else [invalid(path, name, "must be valid format")]


def _unit(path: str, number: int) -> list[Cause]:
    return all_invalid(path, number, names.number_in_range(number, 0, _MAX_UNIT))


def _flocker(path: str, source: Object) -> list[Cause]:
    name, uid, causes = source.get("datasetName", ""), source.get("datasetUUID", ""), list[Cause]()
    if not name and not uid:
        causes.append(required(path, "one of datasetName and datasetUUID is required"))
    if name and uid:
        causes.append(invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously"))
    if "/" in name:
        causes.append(invalid(f"{path}.datasetName", name, "must not contain '/'"))
    return causes


def _with_secret(*fields: str) -> Check:
    """A source with fields that must be there, and a secret that has a name if there is one."""

    def check(path: str, source: Object) -> list[Cause]:
        causes, secret = needs(*fields)(path, source), source.get("secretRef")
        return (
            [*causes, required(f"{path}.secretRef.name")] if secret is not None and not secret.get("name") else causes
        )

    return check


def _quobyte(path: str, source: Object) -> list[Cause]:
    registry, causes = source.get("registry", ""), list[Cause]()
    if not registry:
        causes.append(required(f"{path}.registry", _PAIRS))
    elif len(source.get("tenant", "")) > _MAX_TENANT:
        causes.append(required(f"{path}.tenant", "must be a UUID and may not exceed a length of 64 characters"))
    else:
        causes += [invalid(f"{path}.registry", registry, _PAIRS) for p in registry.split(",") if p.count(":") != 1]
    return causes + needs("volume")(path, source)


def _fibre_channel(path: str, source: Object) -> list[Cause]:
    targets, ids, causes = source.get("targetWWNs") or [], source.get("wwids") or [], list[Cause]()
    if not targets and not ids:
        causes.append(required(f"{path}.targetWWNs", "must specify either targetWWNs or wwids, but not both"))
    if targets and ids:
        detail = "targetWWNs and wwids can not be specified simultaneously"
        causes.append(invalid(f"{path}.targetWWNs", targets, detail))
    if not targets:
        return causes
    if source.get("lun") is None:
        return [*causes, required(f"{path}.lun", "lun is required if targetWWNs is specified")]
    return causes + _unit(f"{path}.lun", source["lun"])


def _flex(path: str, source: Object) -> list[Cause]:
    detail = "kubernetes.io and k8s.io namespaces are reserved"
    return needs("driver")(path, source) + [
        invalid(f"{path}.options[{key}]", key, detail)
        for key in source.get("options") or {}
        if ("." + key.partition("/")[0].lower()).endswith((".kubernetes.io", ".k8s.io"))
    ]


def _azure_disk(path: str, source: Object) -> list[Cause]:
    causes, uri, kind = needs("diskName", "diskURI")(path, source), source.get("diskURI", ""), source.get("kind")
    if source.get("cachingMode") is not None:
        causes += one_of(f"{path}.cachingMode", source["cachingMode"], _CACHING)
    if kind is None:
        return causes
    causes += one_of(f"{path}.kind", kind, _DISKS)
    start, form = ("/subscriptions/", _MANAGED_URI) if kind == "Managed" else ("https://", _BLOB_URI)
    return causes if uri.startswith(start) else [*causes, unsupported(f"{path}.diskURI", uri, (form,))]


def _storage_os(path: str, source: Object) -> list[Cause]:
    causes = needs("volumeName")(path, source)
    for name in ("volumeName", "volumeNamespace"):
        if value := source.get(name):
            causes += all_invalid(f"{path}.{name}", value, names.dns1123_label(value))
    return causes + _with_secret()(path, source)


def _csi(path: str, source: Object) -> list[Cause]:
    driver, secret, causes = source.get("driver", ""), source.get("nodePublishSecretRef"), list[Cause]()
    if not driver:
        causes.append(required(f"{path}.driver"))
    else:
        causes += [too_long(f"{path}.driver", _MAX_DRIVER)] if len(driver.encode()) > _MAX_DRIVER else []
        causes += all_invalid(f"{path}.driver", driver, names.dns1123_subdomain(driver.lower()))
    if secret is None:
        return causes
    if not secret.get("name"):
        return [*causes, required(f"{path}.nodePublishSecretRef.name")]
    return causes + all_invalid(f"{path}.name", secret["name"], names.dns1123_subdomain(secret["name"]))


CHECKS: dict[str, Check] = {
    "gitRepo": _git_repo,
    "gcePersistentDisk": _disk("pdName", "persistentDisk"),
    "awsElasticBlockStore": _disk("volumeID"),
    "nfs": _nfs,
    "iscsi": _iscsi,
    "glusterfs": needs("endpoints", "path"),
    "flocker": _flocker,
    "persistentVolumeClaim": needs("claimName"),
    "rbd": needs("monitors", "image"),
    "cinder": _with_secret("volumeID"),
    "cephfs": needs("monitors"),
    "quobyte": _quobyte,
    "fc": _fibre_channel,
    "flexVolume": _flex,
    "azureFile": needs("secretName", "shareName"),
    "vsphereVolume": needs("volumePath"),
    "photonPersistentDisk": needs("pdID"),
    "portworxVolume": needs("volumeID"),
    "azureDisk": _azure_disk,
    "storageos": _storage_os,
    "scaleIO": needs("gateway", "system", "volumeName"),
    "csi": _csi,
}
