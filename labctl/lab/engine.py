"""The Docker API for `up`, `down`, `status` and `doctor`: connecting, and errors in words a user can act on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from labctl.errors import LabctlError, MissingPrerequisite

if TYPE_CHECKING:
    import docker

MINIMUM_API = (1, 41)  # Engine 20.10
_CLOSED_API = (1, 48)  # Engine 28.0
_TRUSTED_INTERFACES_API = (1, 50)  # Engine 28.2: the option trusted_host_interfaces


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def direct_access(api_version: str) -> Literal["open", "closed", "by name"]:
    """Whether Docker lets other networks reach container addresses: since 28 not, since 28.2 where it is told their names."""
    version = _version(api_version)
    if version >= _TRUSTED_INTERFACES_API:
        return "by name"
    return "closed" if version >= _CLOSED_API else "open"


def socket_path() -> str:
    """The Docker socket as the engine's machine sees it, to be mounted into the control plane."""
    host = os.environ.get("DOCKER_HOST", "")
    return host.removeprefix("unix://") if host.startswith("unix://") else "/var/run/docker.sock"


def _endpoint() -> str:
    """Where Docker listens: DOCKER_HOST, else the current context of the docker command, else the usual socket."""
    if host := os.environ.get("DOCKER_HOST", ""):
        return host
    from docker.context import ContextAPI

    context = ContextAPI.get_current_context()
    return str(context.Host) if context is not None and context.name != "default" and context.Host else ""


def connect(*, timeout_s: float = 60) -> docker.DockerClient:
    """A client of the local engine, recent enough for labctl. Raises MissingPrerequisite.

    The SDK is imported here because that alone takes a tenth of a second.
    """
    import docker
    import docker.errors

    try:
        environment = {**os.environ, "DOCKER_HOST": _endpoint()}
        client = docker.from_env(version="auto", timeout=int(timeout_s), environment=environment)
        version = client.api.api_version
    except (docker.errors.DockerException, OSError) as error:
        raise MissingPrerequisite(
            f"Docker does not answer: {_reason(error)}",
            hint="start Docker, or point DOCKER_HOST to it; 'labctl doctor' tells more",
        ) from error
    if _version(version) < MINIMUM_API:
        raise MissingPrerequisite(
            f"Docker's API is version {version}, labctl needs 1.41", hint="update Docker to 20.10 or newer"
        )
    return client


def _reason(error: BaseException) -> str:
    """The innermost cause: the SDK wraps a refused connection three times."""
    text = str(error)
    for known in ("Permission denied", "Connection refused", "No such file or directory", "timed out"):
        if known in text:
            return f"{known.lower()} at {os.environ.get('DOCKER_HOST') or socket_path()}"
    return text.splitlines()[0][:200] if text else type(error).__name__


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn errors of the SDK into LabctlError: `what` failed, in Docker's words."""
    import docker.errors
    import requests

    try:
        yield
    except docker.errors.APIError as error:
        raise LabctlError(f"{what}: {error.explanation or error}") from error
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise LabctlError(f"{what}: {_reason(error)}") from error
