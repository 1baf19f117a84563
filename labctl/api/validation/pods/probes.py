"""Probes and lifecycle hooks of a container."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import all_invalid, forbidden, invalid, not_negative, one_of, required
from labctl.api.validation.pods.scope import Scope

PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOK_HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")
_NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
_SCHEMES = ("HTTP", "HTTPS")
_GRACE = "terminationGracePeriodSeconds"


def probes(path: str, container: Object, scope: Scope) -> list[Cause]:
    """The three probes of a container."""
    causes: list[Cause] = []
    for name in PROBES:
        probe, here = container.get(name), f"{path}.{name}"
        if probe is None:
            continue
        causes += _probe(here, probe, scope)
        if name == "readinessProbe":
            if probe.get(_GRACE) is not None:
                causes.append(invalid(f"{here}.{_GRACE}", probe[_GRACE], "must not be set for readinessProbes"))
        elif probe.get("successThreshold", 0) != 1:
            causes.append(invalid(f"{here}.successThreshold", probe.get("successThreshold", 0), "must be 1"))
    return causes


def _probe(path: str, probe: Object, scope: Scope) -> list[Cause]:
    causes = _handler(path, probe, _PROBE_HANDLERS, scope)
    for name in _NUMBERS:
        causes += not_negative(f"{path}.{name}", probe.get(name, 0))
    grace = probe.get(_GRACE)
    if grace is not None and grace <= 0:
        causes.append(invalid(f"{path}.{_GRACE}", grace, "must be greater than 0"))
    return causes


def lifecycle(path: str, hooks: Object, scope: Scope) -> list[Cause]:
    """`lifecycle` of a container."""
    causes: list[Cause] = []
    for name in ("postStart", "preStop"):
        if hooks.get(name) is not None:
            causes += _handler(f"{path}.{name}", hooks[name], _HOOK_HANDLERS, scope)
    return causes


def _handler(path: str, handler: Object, kinds: tuple[str, ...], scope: Scope) -> list[Cause]:
    given = [kind for kind in kinds if handler.get(kind) is not None]
    if not given:
        return [required(path, "must specify a handler type")]
    kind, here = given[0], f"{path}.{given[0]}"
    causes = _sleep(here, handler[kind], scope) if kind == "sleep" else _HANDLERS[kind](here, handler[kind])
    return causes + [forbidden(f"{path}.{kind}", "may not specify more than 1 handler type") for kind in given[1:]]


def _exec(path: str, handler: Object) -> list[Cause]:
    return [] if handler.get("command") else [required(f"{path}.command")]


def _http(path: str, handler: Object) -> list[Cause]:
    causes = [] if handler.get("path") else [required(f"{path}.path")]
    causes += _port(f"{path}.port", handler.get("port", 0))
    causes += one_of(f"{path}.scheme", handler.get("scheme", ""), _SCHEMES)
    for header in handler.get("httpHeaders") or ():
        name = header.get("name", "")
        causes += all_invalid(f"{path}.httpHeaders", name, names.http_header_name(name))
    return causes


def _tcp(path: str, handler: Object) -> list[Cause]:
    return _port(f"{path}.port", handler.get("port", 0))


def _sleep(path: str, handler: Object, scope: Scope) -> list[Cause]:
    seconds, grace = handler.get("seconds", 0), scope.grace_s
    if grace is None or 0 <= seconds <= grace:
        return []
    return [invalid(path, seconds, f"must be non-negative and less than {_GRACE} ({grace})")]


def _port(path: str, port: Any) -> list[Cause]:
    wrong = names.port_name(port) if isinstance(port, str) else names.port_number(port)
    return all_invalid(path, port, wrong)


_HANDLERS: dict[str, Callable[[str, Object], list[Cause]]] = {
    "exec": _exec,
    "httpGet": _http,
    "tcpSocket": _tcp,
    "grpc": _tcp,
}
