"""What security contexts may say."""

from __future__ import annotations

import pytest

from labctl.api.objects import Object
from tests.api.validation.pod_kit import complaints

REGEX = r"must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"  # noqa: E501  # as Kubernetes says it
HERE, ALSO = "spec.securityContext", "spec.containers[0].securityContext"


def of_pod(**context: object) -> Object:
    return {"securityContext": context}


def of_container(**context: object) -> Object:
    return {"containers": [{"name": "web", "image": "nginx", "securityContext": context}]}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (of_pod(sysctls=[{"name": "net.ipv4.tcp_syncookies"}, {"name": "kernel/shmmax"}]), []),
        (of_pod(sysctls=[{"name": "foo-"}]), [f'{HERE}.sysctls[0].name: Invalid value: "foo-": {REGEX}']),
        (of_pod(sysctls=[{"name": "bar.."}]), [f'{HERE}.sysctls[0].name: Invalid value: "bar..": {REGEX}']),
        (of_pod(sysctls=[{"name": "a"}, {"name": "a"}]), [f'{HERE}.sysctls[1].name: Duplicate value: "a"']),
        (of_pod(fsGroup=-1), [f"{HERE}.fsGroup: Invalid value: -1: must be between 0 and 2147483647, inclusive"]),
        (
            of_container(runAsUser=-1),
            [f"{ALSO}.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive"],
        ),
        (
            of_container(allowPrivilegeEscalation=False, privileged=True),
            [
                f'{ALSO}: Invalid value: {{"Capabilities":null,"Privileged":true,"SELinuxOptions":null,'
                '"WindowsOptions":null,"RunAsUser":null,"RunAsGroup":null,"RunAsNonRoot":null,'
                '"ReadOnlyRootFilesystem":null,"AllowPrivilegeEscalation":false,"ProcMount":null,'
                '"SeccompProfile":null,"AppArmorProfile":null}: '
                "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            ],
        ),
    ],
)
def test_what_is_wrong_is_told(spec: Object, expected: list[str]) -> None:
    assert complaints(spec) == expected
