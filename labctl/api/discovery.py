"""Discovery: what the API server says about itself, computed from the table of kinds.

Plain documents (`/api`, `/apis`, `/apis/<group>`, `/apis/<group>/<version>`) and aggregated ones (one answer for all
groups, asked for with `as=APIGroupDiscoveryList`), as Kubernetes 1.36 words them.
"""

from __future__ import annotations

import base64
import hashlib
import platform
from dataclasses import dataclass
from typing import Literal

from labctl.api.kinds import KINDS, Kind, group_versions, storage_kind
from labctl.api.objects import Object

KUBERNETES_VERSION = "v1.36.3"
"""The release whose API is served."""

AggregatedVersion = Literal["v2", "v2beta1"]

_STATUS_VERBS = ("get", "patch", "update")
_PROXY_VERBS = ("create", "delete", "get", "patch", "update")
_CONNECT_VERBS = ("create", "get")


@dataclass(frozen=True, slots=True)
class Subresource:
    """A subresource: the kind of its body and the verbs; an empty kind is the parent's."""

    verbs: tuple[str, ...]
    kind: str = ""
    group: str = ""
    version: str = ""


_SUBRESOURCES: dict[str, Subresource] = {
    "attach": Subresource(_CONNECT_VERBS, "PodAttachOptions"),
    "binding": Subresource(("create",), "Binding"),
    "ephemeralcontainers": Subresource(_STATUS_VERBS),
    "eviction": Subresource(("create",), "Eviction", "policy", "v1"),
    "exec": Subresource(_CONNECT_VERBS, "PodExecOptions"),
    "finalize": Subresource(("update",)),
    "log": Subresource(("get",)),
    "portforward": Subresource(_CONNECT_VERBS, "PodPortForwardOptions"),
    "scale": Subresource(_STATUS_VERBS, "Scale", "autoscaling", "v1"),
    "status": Subresource(_STATUS_VERBS),
    "token": Subresource(("create",), "TokenRequest", "authentication.k8s.io", "v1"),
}


def subresource(kind: Kind, name: str) -> Subresource:
    """The facts about a subresource that `kind.subresources` names."""
    if name == "proxy":
        return Subresource(_PROXY_VERBS, f"{kind.kind}ProxyOptions")
    return _SUBRESOURCES[name]


def version() -> Object:
    """The document at /version."""
    major, minor, _ = KUBERNETES_VERSION.removeprefix("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1),
        "gitVersion": KUBERNETES_VERSION,
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "",
        "goVersion": "",
        "compiler": f"labctl on {platform.python_implementation()} {platform.python_version()}",
        "platform": f"linux/{_go_architecture(platform.machine())}",
    }


def _go_architecture(machine: str) -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def api_versions(server_address: str = "") -> Object:
    """The document at /api."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}],
    }


def api_group_list() -> Object:
    """The document at /apis."""
    groups = [_group(name, versions) for name, versions in group_versions().items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def api_group(name: str) -> Object | None:
    """The document at /apis/<group>, None for a group that is not served."""
    versions = group_versions().get(name) if name else None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)} if versions else None


def _group(name: str, versions: tuple[str, ...]) -> Object:
    all_versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": all_versions, "preferredVersion": all_versions[0]}


def api_resource_list(group: str, version: str) -> Object | None:
    """The document at /api/v1 or /apis/<group>/<version>, None when that is not served."""
    resources: list[Object] = []
    for kind in _kinds(group, version):
        resources.append(_resource(kind))
        resources += [_subresource(kind, name) for name in kind.subresources]
    if not resources:
        return None
    group_version = f"{group}/{version}" if group else version
    listed: Object = {"kind": "APIResourceList", "groupVersion": group_version, "resources": resources}
    return {"kind": "APIResourceList", "apiVersion": "v1", **listed} if group else listed


def _kinds(group: str, version: str) -> list[Kind]:
    return sorted((k for k in KINDS if (k.group, k.version) == (group, version)), key=lambda k: k.resource)


def _resource(kind: Kind) -> Object:
    resource: Object = {
        "name": kind.resource,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        resource["shortNames"] = list(kind.short_names)
    if kind.categories:
        resource["categories"] = list(kind.categories)
    if kind.is_stored:
        resource["storageVersionHash"] = storage_version_hash(kind)
    return resource


def _subresource(kind: Kind, name: str) -> Object:
    facts = subresource(kind, name)
    resource: Object = {"name": f"{kind.resource}/{name}", "singularName": "", "namespaced": kind.namespaced}
    if facts.version:
        resource |= {"group": facts.group, "version": facts.version}
    return resource | {"kind": facts.kind or kind.kind, "verbs": list(facts.verbs)}


def storage_version_hash(kind: Kind) -> str:
    """Names the form in which objects are stored; clients only compare it."""
    stored = storage_kind(kind)
    digest = hashlib.sha256(f"{stored.group}/{stored.version}/{stored.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


def aggregated(*, core: bool, version: AggregatedVersion = "v2") -> Object:
    """The aggregated document: of the core group at /api, of all named groups at /apis."""
    items = [_aggregated_group(name, versions) for name, versions in group_versions().items() if (name == "") is core]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": items,
    }


def _aggregated_group(name: str, versions: tuple[str, ...]) -> Object:
    return {
        "metadata": {"name": name} if name else {},
        "versions": [
            {
                "version": version,
                "resources": [_aggregated_resource(kind) for kind in _kinds(name, version)],
                "freshness": "Current",
            }
            for version in versions
        ],
    }


def _aggregated_resource(kind: Kind) -> Object:
    resource: Object = {
        "resource": kind.resource,
        "responseKind": _response_kind(kind.kind),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        resource["shortNames"] = list(kind.short_names)
    if kind.categories:
        resource["categories"] = list(kind.categories)
    if kind.subresources:
        resource["subresources"] = [_aggregated_subresource(kind, name) for name in kind.subresources]
    return resource


def _aggregated_subresource(kind: Kind, name: str) -> Object:
    facts = subresource(kind, name)
    response = _response_kind(facts.kind or kind.kind, facts.group, facts.version)
    return {"subresource": name, "responseKind": response, "verbs": list(facts.verbs)}


def _response_kind(kind: str, group: str = "", version: str = "") -> Object:
    return {"group": group, "version": version, "kind": kind}


def root_paths() -> Object:
    """The document at /: what a browser or `kubectl get --raw /` finds."""
    paths = ["/api", "/api/v1", "/apis"]
    for group, versions in group_versions().items():
        if group:
            paths += [f"/apis/{group}", *(f"/apis/{group}/{v}" for v in versions)]
    issuer = ["/.well-known/openid-configuration", "/openid/v1/jwks"]
    fixed = [*issuer, "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
    return {"paths": sorted([*paths, *fixed])}
