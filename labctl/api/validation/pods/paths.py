"""Paths of files within a volume or a container."""

from __future__ import annotations

from labctl.api.status import Cause
from labctl.api.validation.causes import invalid


def no_backsteps(path: str, target: str) -> list[Cause]:
    """A path that never goes up."""
    return [invalid(path, target, "must not contain '..'")] if ".." in target.split("/") else []


def descending(path: str, target: str) -> list[Cause]:
    """A relative path that never goes up."""
    causes = [invalid(path, target, "must be a relative path")] if target.startswith("/") else []
    return causes + no_backsteps(path, target)


def not_reserved(path: str, target: str) -> list[Cause]:
    """A relative path that neither goes up nor begins with two dots, which kubelets keep for themselves."""
    causes = descending(path, target)
    if target.startswith("..") and not target.startswith("../"):
        causes.append(invalid(path, target, "must not start with '..'"))
    return causes


def file_mode(path: str, mode: int | None) -> list[Cause]:
    """The permission bits of a file."""
    if mode is None or 0 <= mode <= 0o777:
        return []
    return [invalid(path, mode, "must be a number between 0 and 0777 (octal), both inclusive")]
