"""Ingresses and IngressClasses: pkg/apis/networking/validation."""

from __future__ import annotations

import re
from typing import Any

from labctl.api import names
from labctl.api.objects import Object
from labctl.api.status import Cause
from labctl.api.validation.causes import address_complaints, all_invalid, forbidden, invalid, required, unsupported

_ANNOTATION = "kubernetes.io/ingress.class"
_IN_PATHS = ("//", "/./", "/../", "%2f", "%2F")
_AT_THE_END = ("/..", "/.")
_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_MAX_CONTROLLER_BYTES = 250
_URL_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
_SCOPES = ("Cluster", "Namespace")


def validate_create(ingress: Object) -> list[Cause]:
    """What a new Ingress has to be besides: class and annotation say the same."""
    said = (ingress["metadata"].get("annotations") or {}).get(_ANNOTATION)
    if said is not None and ingress["spec"].get("ingressClassName", said) != said:
        detail = "must match `ingressClassName` when both are specified"
        return [invalid(f"annotations.{_ANNOTATION}", said, detail)]
    return []


def validate(ingress: Object) -> list[Cause]:
    """An Ingress."""
    spec, causes = ingress["spec"], []
    rules, default = spec.get("rules") or [], spec.get("defaultBackend")
    if not rules and default is None:
        causes.append(invalid("spec", None, "either `defaultBackend` or `rules` must be specified"))
    if default is not None:
        causes += _backend("spec.defaultBackend", default)
    for index, rule in enumerate(rules):
        causes += _rule(f"spec.rules[{index}]", rule)
    for index, tls in enumerate(spec.get("tls") or ()):
        causes += _tls(f"spec.tls[{index}]", tls)
    if (name := spec.get("ingressClassName")) is not None:
        causes += all_invalid("spec.ingressClassName", name, names.dns1123_subdomain(name))
    return causes


def _rule(path: str, rule: Object) -> list[Cause]:
    causes = []
    if host := rule.get("host"):
        if not address_complaints(host):
            causes.append(invalid(f"{path}.host", host, "must be a DNS name, not an IP address"))
        causes += _host(f"{path}.host", host)
    http = rule.get("http")
    if http is None:
        return causes
    if not http.get("paths"):
        causes.append(required(f"{path}.http.paths"))
    for index, item in enumerate(http.get("paths") or ()):
        causes += _path(f"{path}.http.paths[{index}]", item)
    return causes


def _host(path: str, host: str) -> list[Cause]:
    check = names.wildcard_dns1123_subdomain if "*" in host else names.dns1123_subdomain
    return all_invalid(path, host, check(host))


def _tls(path: str, tls: Object) -> list[Cause]:
    causes = []
    for index, host in enumerate(tls.get("hosts") or ()):
        causes += _host(f"{path}.hosts[{index}]", host)
    if name := tls.get("secretName"):
        causes += all_invalid(f"{path}.secretName", name, names.dns1123_subdomain(name))
    return causes


def _path(path: str, item: Object) -> list[Cause]:
    kind, url = item.get("pathType"), item.get("path", "")
    if kind is None:
        return [required(f"{path}.pathType", "pathType must be specified")]
    causes = []
    if kind not in _PATH_TYPES:
        causes.append(unsupported(f"{path}.pathType", kind, _PATH_TYPES))
    elif (url or kind != "ImplementationSpecific") and not url.startswith("/"):
        causes.append(invalid(f"{path}.path", url, "must be an absolute path"))
    if kind in ("Exact", "Prefix"):
        causes += [invalid(f"{path}.path", url, f"must not contain '{part}'") for part in _IN_PATHS if part in url]
        ends = [end for end in _AT_THE_END if url.endswith(end)]
        causes += [invalid(f"{path}.path", url, f"cannot end with '{end}'") for end in ends]
    return causes + _backend(f"{path}.backend", item.get("backend") or {})


def _backend(path: str, backend: Object) -> list[Cause]:
    resource, service = backend.get("resource"), backend.get("service")
    if resource is not None and service is not None:
        return [invalid(path, "", "cannot set both resource and service backends")]
    if resource is not None:
        return _reference(f"{path}.resource", resource)
    if service is None:
        return [invalid(path, "", "resource or service backend is required")]
    if name := service.get("name"):
        causes = all_invalid(f"{path}.service.name", name, names.dns1123_label(name))
    else:
        causes = [required(f"{path}.service.name")]
    port = service.get("port") or {}
    name, number = port.get("name"), port.get("number")
    if name and number:
        return [*causes, invalid(path, "", "cannot set both port name & port number")]
    if name:
        return causes + all_invalid(f"{path}.service.port.name", name, names.port_name(name))
    if number:
        return causes + all_invalid(f"{path}.service.port.number", number, names.port_number(number))
    return [*causes, required(path, "port name or number is required")]


def _reference(path: str, reference: Object) -> list[Cause]:
    causes = []
    if (group := reference.get("apiGroup")) is not None:
        causes += all_invalid(f"{path}.apiGroup", group, names.dns1123_subdomain(group))
    for part in ("kind", "name"):
        if value := reference.get(part):
            causes += all_invalid(f"{path}.{part}", value, names.path_segment(value))
        else:
            causes.append(required(f"{path}.{part}"))
    return causes


def validate_class(ingress_class: Object) -> list[Cause]:
    """An IngressClass."""
    spec = ingress_class.get("spec") or {}
    controller = spec.get("controller", "")
    causes = []
    if len(controller.encode()) > _MAX_CONTROLLER_BYTES:
        text = f"Too long: may not be more than {_MAX_CONTROLLER_BYTES} bytes"
        causes.append(Cause("FieldValueTooLong", text, "spec.controller"))
    causes += _domain_prefixed_path("spec.controller", controller)
    if (parameters := spec.get("parameters")) is not None:
        causes += _parameters("spec.parameters", parameters)
    return causes


def _domain_prefixed_path(path: str, value: str) -> list[Cause]:
    if not value:
        return [required(path)]
    domain, slash, rest = value.partition("/")
    if not domain or not slash or not rest:
        return [invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    causes = all_invalid(path, domain, names.dns1123_subdomain(domain))
    if not re.fullmatch(_URL_PATH, rest, re.ASCII):
        detail = f"Invalid path (regex used for validation is '{_URL_PATH}')"
        causes.append(invalid(path, rest, detail))
    return causes


def _parameters(path: str, parameters: Object) -> list[Cause]:
    causes = _reference(path, parameters)
    scope: Any = parameters.get("scope")
    namespace = parameters.get("namespace")
    if scope not in _SCOPES:
        return [*causes, unsupported(f"{path}.scope", scope, _SCOPES)]
    if scope == "Cluster":
        why = "`parameters.scope` is set to 'Cluster'"
        return causes if namespace is None else [*causes, forbidden(f"{path}.namespace", why)]
    if namespace is None:
        return [*causes, required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'")]
    return causes + all_invalid(f"{path}.namespace", namespace, names.dns1123_label(namespace))


def validate_class_update(new: Object, old: Object) -> list[Cause]:
    """A class keeps its controller."""
    controllers = [(o.get("spec") or {}).get("controller", "") for o in (new, old)]
    if controllers[0] == controllers[1]:
        return []
    return [invalid("spec.controller", controllers[0], "field is immutable")]
