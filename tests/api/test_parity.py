"""docs/parity.md says what the code says."""

from pathlib import Path

from labctl.api import kinds, parity

PAGE = Path(__file__).parents[2] / "docs" / "parity.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == parity.page(), "run: python -m labctl.api.parity > docs/parity.md"


def test_every_kind_is_on_the_page() -> None:
    rows = {tuple(line.split(" | ")[:2]) for line in parity.page().splitlines() if line.startswith("| ")}
    first = {
        (kind.removeprefix("| "), version.removesuffix(" |")) for kind, version in (r for r in rows if len(r) == 2)
    }
    assert {(k.kind, k.api_version) for k in kinds.KINDS} <= first
