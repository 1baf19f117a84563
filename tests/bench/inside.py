"""Python modules of tests.bench, run in a container of the lab's image: in a network of its own, or in that of a pod."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_REPOSITORY = Path(__file__).parents[2]
_SCRIPT = 'PYTHONPATH="$PYTHONPATH:/repository" PYTHONDONTWRITEBYTECODE=1 exec python3 -m "tests.bench.$0" "$@"'


def docker_run(
    image: str, module: str, *arguments: str, network: str = "none", options: Iterable[str] = ()
) -> list[str]:
    """The command that runs a module; the container goes away with it. `network` as Docker takes it."""
    mount = f"{_REPOSITORY}/tests:/repository/tests:ro"
    container = ["--rm", "--cap-add", "NET_ADMIN", "--network", network, "-v", mount, *options]
    return ["docker", "run", *container, image, "sh", "-c", _SCRIPT, module, *arguments]
