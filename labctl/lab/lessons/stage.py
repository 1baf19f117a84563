"""What a lesson needs around the cluster: hosts on the lab's LAN, there while it is played."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from labctl.errors import UsageError
from labctl.lab import engine, outside, plan, record


@contextmanager
def outside_hosts(name: str) -> Iterator[str]:
    """The chapter's 192.168.123.234 and, where DNS asks nobody outside, a stand-in for raw.githubusercontent.com.

    Yields the address that the former has on this lab's LAN.
    """
    lab = record.load(name)
    if lab is None:
        raise UsageError(f'lab "{name}" does not exist', hint="'labctl up' starts it")
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
