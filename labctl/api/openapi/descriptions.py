"""The sentences `kubectl explain` shows, where there are any.

They are Kubernetes' own and not part of this project: the image build takes them out of PyPI's kubernetes-validate
(`python -m labctl.api.data.generate --descriptions FILE`) and names the file in LABCTL_DESCRIPTIONS. Without it
explain shows all fields and types, and no prose.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson

ENVIRONMENT_VARIABLE = "LABCTL_DESCRIPTIONS"

Descriptions = dict[str, Any]
"""OpenAPI type name -> [its description, {field: description}]."""


def path() -> Path | None:
    """The file with the descriptions, if there is one."""
    name = os.environ.get(ENVIRONMENT_VARIABLE)
    return Path(name) if name and Path(name).is_file() else None


def load() -> Descriptions:
    """The descriptions, empty when there is no file. Not kept: 1.3 MB that only document generation needs."""
    file = path()
    return orjson.loads(file.read_bytes()) if file is not None else {}


def of_type(descriptions: Descriptions, name: str) -> str:
    """A type's description, or nothing."""
    found = descriptions.get(name)
    return str(found[0]) if found else ""


def of_field(descriptions: Descriptions, name: str, field: str) -> str:
    """A field's description, or nothing."""
    found = descriptions.get(name)
    return str(found[1].get(field, "")) if found else ""
