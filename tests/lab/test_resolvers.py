"""Which resolvers may be asked, and what is said to those that may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.errors import UsageError
from labctl.lab import resolvers


def test_servers_of_a_resolv_conf() -> None:
    text = (
        "# made by hand\nsearch example.org\nnameserver 192.0.2.1\nnameserver\t2001:db8::1 # second\noptions ndots:5\n"
    )
    assert resolvers.nameservers(text) == ["192.0.2.1", "2001:db8::1"]


@pytest.mark.parametrize("asked", ["192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:5353", "fe80::1%eth0"])
def test_addresses_pass_as_they_are(asked: str) -> None:
    assert resolvers.checked([asked, asked]) == (asked,)


@pytest.mark.parametrize("asked", ["", "dns.example.org", "192.0.2.1:0", "192.0.2.1:x", "192.0.2.1:65536", "1.2.3"])
def test_what_is_no_address_is_refused(asked: str) -> None:
    with pytest.raises(UsageError, match=f'--dns-upstream "{asked}" is no address'):
        resolvers.checked([asked])


@pytest.mark.parametrize("asked", ["127.0.0.53", "127.0.0.1:53", "::1", "[::1]:53"])
def test_a_loopback_address_is_refused_because_a_pod_would_find_itself(asked: str) -> None:
    with pytest.raises(UsageError, match="loopback, where a pod finds only itself"):
        resolvers.checked([asked])


def test_nobody() -> None:
    assert resolvers.checked(["none"]) == ()
    with pytest.raises(UsageError, match='"none" is no address'):
        resolvers.checked(["none", "192.0.2.1"])


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [tmp_path / "resolv.conf", tmp_path / "behind-the-stub"]


def test_the_hosts_own_are_taken_from_behind_a_stub(files: list[Path]) -> None:
    files[0].write_text("nameserver 127.0.0.53\n")
    files[1].write_text("nameserver 192.0.2.7\nnameserver 127.0.0.1\n")
    assert resolvers.of_host(files) == ["192.0.2.7"]
    files[0].write_text("nameserver 192.0.2.9\n")
    assert resolvers.of_host(files) == ["192.0.2.9"]


def test_a_host_with_nothing_but_a_stub_is_told(files: list[Path]) -> None:
    files[0].write_text("nameserver 127.0.0.1\n")
    with pytest.raises(UsageError, match=r"names only 127\.0\.0\.1, which answers nobody but this machine"):
        resolvers.of_host(files)
    files[0].unlink()
    with pytest.raises(UsageError, match="names none"):
        resolvers.of_host(files)
