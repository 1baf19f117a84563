"""Where image recipes, the Compose template and the Corefile template lie: in the checkout, or inside the wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import labctl

Folder = Literal["images", "compose", "templates"]


def package() -> Path:
    """The folder of the package labctl itself."""
    return Path(labctl.__file__).parent


def folder(name: Folder) -> Path:
    """One of the top-level folders; the wheel carries them under `labctl/_resources`."""
    installed = package() / "_resources" / name
    return installed if installed.is_dir() else package().parent / name
