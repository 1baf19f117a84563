"""The parity page (docs/parity.md): what of the Kubernetes API is served, written from the tables that serve it.

`python -m labctl.api.parity` prints it; a test holds the file in docs to it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from labctl.api import discovery, kinds
from labctl.api.kinds import Kind

_HEAD = """\
# What labctl's API server serves

Written by `python -m labctl.api.parity`; do not edit. The API is that of Kubernetes {version}. What is listed here answers as
kube-apiserver does, in its words; what is not listed is refused, also in its words. What holds this to a real
cluster's recordings: `tests/golden` (kubectl, kube-proxy, single requests) and `tests/clients` (stock kubectl and helm).
"""
_OPTIONS = (
    (
        "bodies",
        "`application/json`, `application/yaml`, `application/vnd.kubernetes.protobuf`; answers are JSON (indented "
        "for curl and browsers, or as `pretty` says) or YAML, gzip from 128 KiB",
    ),
    (
        "patches",
        "JSON patch, merge patch, strategic merge patch, server-side apply (with `managedFields` for every write)",
    ),
    (
        "writes",
        "`dryRun=All`, `fieldManager`, `fieldValidation=Ignore\\|Warn\\|Strict`, `force`, `generateName`, conflicts",
    ),
    ("deletes", "`gracePeriodSeconds`, `propagationPolicy`, `preconditions`, finalizers, deletion of collections"),
    ("lists", "`labelSelector`, `fieldSelector`, `limit`, `continue`, `resourceVersion`, `resourceVersionMatch`"),
    ("watches", "`allowWatchBookmarks`, `sendInitialEvents`, `timeoutSeconds`; 410 after compaction"),
    ("forms", "objects, `Table` (`includeObject`), `PartialObjectMetadata`, each also in watches"),
    (
        "documents",
        "`/api`, `/apis` (plain and aggregated), `/openapi/v2`, `/openapi/v3`, `/version`, `/metrics`, `/healthz`, "
        "`/livez`, `/readyz`",
    ),
    (
        "streams",
        "exec, attach, port-forward and logs over WebSocket and SPDY/3.1; watches over WebSocket; "
        "HTTP proxies of pods, services and nodes",
    ),
    ("users", "bearer tokens (administrator, nodes, ServiceAccounts), RBAC, impersonation"),
)
_REFUSED = (
    (
        "CustomResourceDefinitions, APIServices, admission webhooks and policies",
        "`no matches for kind`; the groups are not served",
    ),
    ("CertificateSigningRequests, client certificates", "the group is not served; clients authenticate with tokens"),
    ("`kubectl top`", "`Metrics API not available`, as in a cluster without a metrics server"),
    (
        "CBOR, protobuf answers",
        "415 for bodies; answers are JSON or YAML: who takes protobuf takes JSON, too; 406 for other forms",
    ),
    (
        "aggregation of ClusterRoles, checks against privilege escalation",
        "roles hold their rules themselves; whoever may write roles may write any",
    ),
)


def page() -> str:
    """The whole page."""
    parts = [_HEAD.format(version=discovery.KUBERNETES_VERSION), *_kinds(), *_absent(), *_inert()]
    parts += ["## Options\n", _table(("What", "How"), _OPTIONS)]
    parts += ["## Refused\n", _table(("What", "How"), _REFUSED)]
    return "\n".join(parts)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _kinds() -> Iterator[str]:
    yield "## Kinds\n"
    yield "Verbs are create, delete, deletecollection, get, list, patch, update and watch unless others are named.\n"
    served = [k for k in kinds.KINDS if not k.is_absent]
    yield _table(("Kind", "API version", "Short", "Verbs", "Subresources"), (_row(k) for k in served))


def _row(kind: Kind) -> tuple[str, ...]:
    verbs = "all" if len(kind.verbs) == len(kinds.CONFIG_MAP.verbs) else ", ".join(kind.verbs)
    return kind.kind, kind.api_version, ", ".join(kind.short_names), verbs, ", ".join(kind.subresources)


def _absent() -> Iterator[str]:
    yield "## Kinds that are always empty\n"
    yield "Clients look through them, so they are listed and watched; creating one is refused with 405 MethodNotAllowed.\n"
    yield _table(("Kind", "API version"), ((k.kind, k.api_version) for k in kinds.KINDS if k.is_absent))


def _inert() -> Iterator[str]:
    yield "## Kinds that are stored and not acted upon\n"
    yield "Every write of them is answered with this Warning.\n"
    rows = ((k.kind, k.inert) for k in dict.fromkeys(kinds.storage_kind(k) for k in kinds.KINDS) if k.inert)
    yield _table(("Kind", "Warning"), rows)


if __name__ == "__main__":
    sys.stdout.write(page())
