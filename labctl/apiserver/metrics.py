"""GET /metrics: what a scraper may know of the API server, in Prometheus' text format and under Kubernetes' names."""

from __future__ import annotations

import time
from collections.abc import Iterator

import labctl
from labctl.api import kinds
from labctl.store.store import Store

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
_STARTED_S = time.time() - time.process_time()


def render(store: Store) -> str:
    """All metrics."""
    return "".join(f"{line}\n" for line in _lines(store))


def _lines(store: Store) -> Iterator[str]:
    yield from _head("apiserver_resource_objects", "gauge", "Number of stored objects of each resource.")
    for kind in kinds.KINDS:
        if kind.is_stored and kinds.storage_kind(kind) is kind:
            count = store.count(kind.group_resource)
            yield f'apiserver_resource_objects{{group="{kind.group}",resource="{kind.resource}"}} {count}'
    yield from _head("kubernetes_build_info", "gauge", "The version of Kubernetes whose API is served.")
    major, minor, _ = labctl.KUBERNETES_VERSION.removeprefix("v").split(".")
    version = f'git_version="{labctl.KUBERNETES_VERSION}",major="{major}",minor="{minor}"'
    yield f"kubernetes_build_info{{{version}}} 1"
    yield from _head("process_cpu_seconds_total", "counter", "CPU time of the process, in seconds.")
    yield f"process_cpu_seconds_total {time.process_time():.2f}"
    yield from _head("process_start_time_seconds", "gauge", "When the process started, in Unix seconds.")
    yield f"process_start_time_seconds {_STARTED_S:.2f}"


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
