"""What `up` decided about a lab, kept in its state folder: a second `up` repairs this lab, it does not plan anew."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from labctl.config import LabConfig
from labctl.errors import LabctlError
from labctl.lab.paths import StateFolder


@dataclass(frozen=True, slots=True)
class Record:
    """A lab as decided: its configuration, the port on the host's loopback, and the resolvers its DNS asks."""

    config: LabConfig
    api_port: int
    dns_upstreams: tuple[str, ...] = ()

    @property
    def server(self) -> str:
        """The API server's URL on the host."""
        return f"https://127.0.0.1:{self.api_port}"


def save(record: Record) -> None:
    """Write the record; only the owner may read it, it holds the keys."""
    data = {
        "config": orjson.loads(record.config.to_json()),
        "api_port": record.api_port,
        "dns_upstreams": record.dns_upstreams,
    }
    folder = StateFolder.of(record.config.name)
    folder.write(folder.lab, orjson.dumps(data, option=orjson.OPT_INDENT_2).decode())


def load(name: str) -> Record | None:
    """The record of a lab, or None when there is none of that name. Raises LabctlError when it cannot be read."""
    path = StateFolder.of(name).lab
    try:
        data = orjson.loads(path.read_bytes())
        config = LabConfig.from_json(orjson.dumps(data["config"]).decode())
        return Record(config, int(data["api_port"]), tuple(data["dns_upstreams"]))
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError) as error:
        raise LabctlError(
            f"{path} cannot be read: {error}", hint=f"'labctl down --name {name}' removes that lab; then 'labctl up'"
        ) from error
