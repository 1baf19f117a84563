"""What a lab's kubelet refuses, and what it says."""

from __future__ import annotations

import pytest

from labctl.api.objects import Object
from labctl.kubelet import admission, naming
from tests.kubelet.conftest import pod


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({}, None),
        ({"os": {"name": "linux"}}, None),
        ({"os": {"name": "windows"}}, "PodOSNotSupported"),
        ({"securityContext": {"sysctls": [{"name": "net/ipv4/tcp_syncookies", "value": "1"}]}}, None),
        ({"securityContext": {"sysctls": [{"name": "vm.swappiness", "value": "1"}]}}, "SysctlForbidden"),
    ],
)
def test_what_is_not_admitted(spec: Object, reason: str | None) -> None:
    found = admission.refusal(pod(**spec))
    assert (found[0] if found else None) == reason


LOCAL = {"type": "Localhost", "localhostProfile": "x.json"}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, ""),
        ({"hostUsers": True}, ""),
        ({"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}, ""),
        ({"hostIPC": True}, "hostIPC pods"),
        ({"hostUsers": False}, "user namespaces"),
        ({"resourceClaims": [{"name": "gpu"}]}, "devices for resourceClaims"),
        ({"securityContext": {"supplementalGroupsPolicy": "Strict"}}, "supplementalGroupsPolicy Strict"),
        ({"securityContext": {"seccompProfile": LOCAL}}, "seccompProfile files"),
        (
            {"containers": [{"name": "c", "securityContext": {"appArmorProfile": LOCAL}}]},
            "appArmorProfile files of a node's own (type Localhost, container c)",
        ),
        ({"containers": [{"name": "c", "securityContext": {"procMount": "Unmasked"}}]}, "unmasked /proc"),
        ({"containers": [{"name": "c", "volumeDevices": [{"name": "d"}]}]}, "block devices"),
        (
            {"containers": [{"name": "c", "restartPolicyRules": [{"action": "RestartAllContainers"}]}]},
            "restarts of all containers",
        ),
    ],
)
def test_what_a_lab_has_not(spec: Object, words: str) -> None:
    found = admission.lacking(pod(**spec))
    assert found.startswith(words)
    assert bool(found) == bool(words)


def test_slashes_and_dots_of_sysctls() -> None:
    given = [{"name": "net/ipv4/conf/eth0.1/x", "value": "1"}, {"name": "net.ipv4.conf.eth0/1.y", "value": "2"}]
    found = admission.sysctls(pod(securityContext={"sysctls": given}))
    assert found == {"net.ipv4.conf.eth0/1.x": "1", "net.ipv4.conf.eth0/1.y": "2"}


def test_the_kernels_name_of_a_pod() -> None:
    assert naming.kernel_hostname(pod("p", subdomain="s"), "cluster.local") == "p"
    assert naming.kernel_hostname(pod("p", setHostnameAsFQDN=True), "cluster.local") == "p"
    full = pod("p", subdomain="s", setHostnameAsFQDN=True)
    assert naming.kernel_hostname(full, "cluster.local") == "p.s.default.svc.cluster.local"
    with pytest.raises(ValueError, match="64 characters is the max"):
        naming.kernel_hostname(pod("p" * 60, subdomain="s", setHostnameAsFQDN=True), "cluster.local")
