"""What a lesson needs around the cluster: hosts on the lab's LAN, there while it is played, and a free port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from labctl.errors import MissingPrerequisite, UsageError
from labctl.lab import engine, networks, outside, plan, record
from labctl.lab.paths import command

_NEARBY = 20


@contextmanager
def outside_hosts(name: str) -> Iterator[str]:
    """The chapter's 192.168.123.234 and, where DNS asks nobody outside, a stand-in for raw.githubusercontent.com.

    Yields the address that the former has on this lab's LAN.
    """
    lab = record.load(name)
    if lab is None:
        raise UsageError(f'lab "{name}" does not exist', hint=f"'{command('up', name)}' starts it")
    client = engine.connect()
    hosts = {"outside": plan.host(lab.config.lan_cidr, plan.OUTSIDE_HOST)}
    hosts |= plan.stand_in_hosts(lab.config.lan_cidr, lab.dns_upstreams)
    try:
        for hostname, address in hosts.items():
            outside.start(client, lab.config, hostname=hostname, address=address)
        yield hosts["outside"]
    finally:
        for hostname in hosts:
            outside.stop(client, lab.config, hostname=hostname)


def free_port(wanted: int) -> int:
    """The lesson's port of the host or, when somebody holds that, one nearby. Raises MissingPrerequisite."""
    port = networks.first_free_port(range(wanted, wanted + _NEARBY))
    if port is None:
        raise MissingPrerequisite(
            f"the ports {wanted} to {wanted + _NEARBY - 1} on 127.0.0.1 are all taken", hint="free one of them"
        )
    return port
