"""What every command on objects begins with: the cluster of the kubeconfig, its kinds, and the namespace.

`--context` wins; else the lab that $LABCTL_NAME names, when the kubeconfig has its context; else the current context.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.api.status import ApiError
from labctl.cli.errors import Plain
from labctl.client.paths import path_of
from labctl.errors import UsageError


def _value(text: str | None) -> str | None:
    """`-o=yaml` reaches us as `=yaml`."""
    return text[1:] if text and text.startswith("=") else text


def _values(texts: list[str] | None) -> list[str] | None:
    return texts and [t.removeprefix("=") for t in texts]


Namespace = Annotated[
    str, typer.Option("--namespace", "-n", callback=_value, help="Namespace; the context's own unless given.")
]
Context = Annotated[str, typer.Option("--context", help="Context of the kubeconfig; the current one unless given.")]
Output = Annotated[str, typer.Option("--output", "-o", callback=_value, help="wide, yaml, json, name, jsonpath=…")]
Selector = Annotated[str, typer.Option("--selector", "-l", callback=_value, help="Labels to select, as in app=web.")]
FieldSelector = Annotated[str, typer.Option("--field-selector", help="Fields to select, as in status.phase=Running.")]
AllNamespaces = Annotated[bool, typer.Option("--all-namespaces", "-A", help="All namespaces.")]
Filenames = Annotated[
    list[str] | None,
    typer.Option("--filename", "-f", callback=_values, help="File, folder, URL, or - for standard input."),
]
Recursive = Annotated[bool, typer.Option("--recursive", "-R", help="Folders with all their folders.")]
Container = Annotated[str, typer.Option("--container", "-c", callback=_value, help="Container of the pod.")]


@dataclass(frozen=True, slots=True)
class Resource:
    """One object that a command line names, or all of a kind when `name` is empty."""

    kind: Kind
    name: str = ""

    @property
    def title(self) -> str:
        """`deployment.apps/web`, as kubectl calls it."""
        return title(self.kind, self.name)


class Session:
    """One cluster as one user, with its kinds."""

    def __init__(self, context: str = "", namespace: str = "", *, timeout_s: float | None = None) -> None:
        from labctl.cli.mapping import Mapper
        from labctl.cli.transport import Transport
        from labctl.client import kubeconfig

        self.target = kubeconfig.load(context or labs_context())
        self.transport = Transport(self.target, warn=_warn_once(), timeout_s=timeout_s)
        self.mapper = Mapper(self.transport, cache=_cache_folder())
        self.namespace = namespace or self.target.namespace
        self.is_namespace_given = bool(namespace)

    def path(self, kind: Kind, name: str = "", subresource: str = "", *, namespace: str | None = None) -> str:
        """The URL path of a resource in the session's namespace; an empty `namespace` means all."""
        return path_of(kind, self.namespace if namespace is None else namespace, name, subresource)

    def get(self, resource: Resource, *, namespace: str | None = None) -> Object:
        """Read one object. Raises ApiError."""
        answer: Object = self.transport.request(
            "GET", self.path(resource.kind, resource.name, namespace=namespace)
        ).json()
        return answer

    def explained(self, error: ApiError, resource: Resource) -> ApiError:
        """The error of a lookup; what is not found in a namespace that does not exist is the namespace, as kubectl says it."""
        if error.code != 404 or not resource.name or not resource.kind.namespaced or self.namespace == "default":
            return error
        try:
            self.transport.request("GET", f"/api/v1/namespaces/{self.namespace}")
        except ApiError as missing:
            return missing if missing.code == 404 else error
        return error

    def list_all(
        self, kind: Kind, query: dict[str, str] | None = None, *, namespace: str | None = None
    ) -> list[Object]:
        """Read all objects of a kind."""
        answer: Any = self.transport.request("GET", self.path(kind, namespace=namespace), query).json()
        return [{"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in answer.get("items") or ()]

    def resources(self, words: Sequence[str]) -> list[Resource]:
        """The objects that arguments name: `svc`, `svc,pods`, `svc web api`, `svc/web deploy/api`, `all`."""
        if any("/" in word for word in words):
            return [self._slashed(word) for word in words]
        kinds = [k for word in words[0].split(",") if word for k in self.mapper.expand(word)]
        names = words[1:]
        return [Resource(k, n) for k in kinds for n in names] if names else [Resource(k) for k in kinds]

    def _slashed(self, word: str) -> Resource:
        kind, slash, name = word.partition("/")
        if not slash:
            raise Plain(
                "error: there is no need to specify a resource type as a separate argument when passing arguments in"
                " resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource"
                " resource/<resource_name>'"
            )
        if not kind or not name or "/" in name:
            raise Plain("error: arguments in resource/name form must have a single resource and name")
        return Resource(self.mapper.resolve(kind), name)


def title(kind: Kind, name: str) -> str:
    """`service/web`, `deployment.apps/web`."""
    group = f".{kind.group}" if kind.group else ""
    return f"{kind.singular or kind.kind.lower()}{group}/{name}"


def needs(words: Sequence[str] | None, what: str) -> Sequence[str]:
    """The arguments, or a usage error that names what is missing."""
    if not words:
        raise UsageError(what, hint="labctl api-resources lists the kinds")
    return words


def labs_context() -> str:
    """The context of $LABCTL_NAME's lab, if the kubeconfig has it."""
    name = os.environ.get("LABCTL_NAME")
    if not name:
        return ""
    from labctl.client import kubeconfig
    from labctl.lab.paths import context_of

    context = context_of(name)
    return context if kubeconfig.has_context(context) else ""


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "labctl" / "discovery"


def _warn_once() -> Callable[[str], None]:
    """Prints each warning the first time it comes, as kubectl does."""
    told: set[str] = set()

    def warn(text: str) -> None:
        if text not in told:
            told.add(text)
            sys.stderr.write(f"Warning: {text}\n")

    return warn
