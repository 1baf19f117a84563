"""Every package says in one screen what it is: Name, Description, Syntax, Examples, Bugs, in this order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "labctl"
PACKAGES = sorted(p.parent for p in ROOT.rglob("__init__.py") if p.parent != ROOT)
SECTIONS = ["Name", "Description", "Syntax", "Examples", "Bugs"]
_SCREEN = 65  # lines


def _id(package: Path) -> str:
    return str(package.relative_to(ROOT))


@pytest.mark.parametrize("package", PACKAGES, ids=_id)
def test_every_package_has_a_readme_of_one_screen_in_the_fixed_order(package: Path) -> None:
    text = (package / "README.md").read_text()
    assert re.findall(r"^## (.*)$", text, re.M) == SECTIONS
    for section in re.split(r"^## .*$", text, flags=re.M)[1:]:
        assert section.strip()
    assert len(text.splitlines()) <= _SCREEN


@pytest.mark.parametrize("package", PACKAGES, ids=_id)
def test_tables_of_modules_name_modules_that_exist(package: Path) -> None:
    text = (package / "README.md").read_text()
    rows = re.findall(r"^\| (`[^|]*) \|", text, re.M)
    named = {name.strip("`/") for row in rows for name in re.findall(r"`[^`]+`", row)}
    assert {name for name in named if not _exists(package, name)} == set()


def _exists(package: Path, module: str) -> bool:
    return (package / f"{module}.py").is_file() or (package / module).is_dir()
