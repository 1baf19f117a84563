from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.api import kinds
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.kubelet import fields
from labctl.kubelet.environment import ConfigError, Sources, environment, service_variables
from labctl.kubelet.expansion import expand
from labctl.kubelet.fields import Identity
from tests.kubelet.conftest import pod

CONF: Object = {"data": {"a": "1", "b": "two"}, "binaryData": {"raw": base64.b64encode(b"\xff").decode()}}
SECRET: Object = {"data": {"k": base64.b64encode(b"s3cret").decode()}}
IDENTITY = Identity(("10.244.1.2", "fd00::2"), ("192.168.123.11",), cpus=4, memory_bytes=8 << 30)


def lookup(kind: Kind, namespace: str, name: str) -> Object | None:
    return {(kinds.CONFIG_MAP, "conf"): CONF, (kinds.SECRET, "hidden"): SECRET}.get((kind, name))


def env_of(*env: dict[str, Any], services: list[Object] | None = None, **container: Any) -> dict[str, str]:
    made = pod(env=list(env), **container)
    sources = Sources(lookup, IDENTITY, services or ())
    return environment(made, made["spec"]["containers"][0], sources)


def value_from(**source: Any) -> dict[str, Any]:
    return {"name": "X", "valueFrom": source}


def test_the_variables_of_services_as_recorded() -> None:
    """Golden dns.txt: `env` in a pod beside Service one (80) and cip (TCP 80 `http`, UDP 53 `d`)."""
    one = {"metadata": {"name": "one"}, "spec": {"clusterIP": "10.96.60.2", "ports": [{"port": 80, "protocol": "TCP"}]}}
    assert service_variables([one]) == {
        "ONE_SERVICE_HOST": "10.96.60.2",
        "ONE_SERVICE_PORT": "80",
        "ONE_PORT": "tcp://10.96.60.2:80",
        "ONE_PORT_80_TCP": "tcp://10.96.60.2:80",
        "ONE_PORT_80_TCP_PROTO": "tcp",
        "ONE_PORT_80_TCP_PORT": "80",
        "ONE_PORT_80_TCP_ADDR": "10.96.60.2",
    }
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}, {"name": "d", "port": 53, "protocol": "UDP"}]
    made = service_variables([{"metadata": {"name": "cip-x"}, "spec": {"clusterIP": "10.96.60.1", "ports": ports}}])
    assert made["CIP_X_SERVICE_PORT_HTTP"] == "80" and made["CIP_X_SERVICE_PORT_D"] == "53"
    assert made["CIP_X_PORT"] == "tcp://10.96.60.1:80" and made["CIP_X_PORT_53_UDP"] == "udp://10.96.60.1:53"


def service(namespace: str, name: str, ip: str = "10.96.0.9") -> Object:
    return {"metadata": {"namespace": namespace, "name": name}, "spec": {"clusterIP": ip, "ports": [{"port": 80}]}}


def test_a_pod_sees_its_namespaces_services_and_always_kubernetes() -> None:
    services = [service("default", "mine"), service("other", "theirs"), service("default", "headless", "None"),
                service("default", "kubernetes", "10.96.0.1")]  # fmt: skip
    assert {k for k in env_of(services=services) if k.endswith("_SERVICE_HOST")} == {
        "MINE_SERVICE_HOST",
        "KUBERNETES_SERVICE_HOST",
    }
    without = env_of(services=services, enableServiceLinks=False)
    assert {k for k in without if k.endswith("_SERVICE_HOST")} == {"KUBERNETES_SERVICE_HOST"}


def test_own_variables_win_over_env_from_and_env_from_over_services() -> None:
    made = env_of(
        {"name": "b", "value": "mine"},
        envFrom=[{"configMapRef": {"name": "conf"}}, {"prefix": "S_", "secretRef": {"name": "hidden"}}],
        services=[service("default", "a")],
    )
    assert made["a"] == "1" and made["b"] == "mine" and made["S_k"] == "s3cret" and "raw" not in made


def test_references_see_what_was_declared_before_and_the_services() -> None:
    made = env_of(
        {"name": "A", "value": "1"}, {"name": "B", "value": "$(A)-$(WEB_SERVICE_HOST)-$(LATER)-$$(A)"},
        {"name": "LATER", "value": "2"},
        services=[service("default", "web")],
    )  # fmt: skip
    assert made["B"] == "1-10.96.0.9-$(LATER)-$(A)"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"fieldRef": {"fieldPath": "status.podIP"}}, "10.244.1.2"),
        ({"fieldRef": {"fieldPath": "status.podIPs"}}, "10.244.1.2,fd00::2"),
        ({"fieldRef": {"fieldPath": "status.hostIP"}}, "192.168.123.11"),
        ({"fieldRef": {"fieldPath": "metadata.name"}}, "p"),
        ({"fieldRef": {"fieldPath": "spec.nodeName"}}, "node-1"),
        ({"configMapKeyRef": {"name": "conf", "key": "a"}}, "1"),
        ({"secretKeyRef": {"name": "hidden", "key": "k"}}, "s3cret"),
        ({"resourceFieldRef": {"resource": "limits.cpu"}}, "4"),
        ({"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Gi"}}, "8"),
        ({"resourceFieldRef": {"resource": "requests.cpu"}}, "0"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_values_from_elsewhere(source: dict[str, Any], expected: str) -> None:
    assert env_of(value_from(**source))["X"] == expected


def test_resources_are_counted_in_divisors_and_rounded_up() -> None:
    resources = {"limits": {"cpu": "1500m", "memory": "100Mi"}}
    cpu = value_from(resourceFieldRef={"resource": "limits.cpu"})
    assert env_of(cpu, resources=resources)["X"] == "2"
    milli = value_from(resourceFieldRef={"resource": "limits.cpu", "divisor": "1m"})
    assert env_of(milli, resources=resources)["X"] == "1500"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"configMapKeyRef": {"name": "nope", "key": "a"}}, 'configmaps "nope" not found'),
        ({"secretKeyRef": {"name": "nope", "key": "a"}}, 'secrets "nope" not found'),
        ({"configMapKeyRef": {"name": "conf", "key": "z"}}, "couldn't find key z in ConfigMap default/conf"),
    ],
)
def test_what_is_missing_is_named_unless_it_is_optional(source: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        env_of(value_from(**source))
    optional = {kind: {**reference, "optional": True} for kind, reference in source.items()}
    assert "X" not in env_of(value_from(**optional))


def test_labels_and_annotations_one_by_one_and_all() -> None:
    made = pod()
    made["metadata"]["labels"] = {"b": "2", "a": 'say "hi"\n'}
    assert fields.field_value(made, "metadata.labels['b']", IDENTITY) == "2"
    assert fields.field_value(made, "metadata.labels", IDENTITY) == 'a="say \\"hi\\"\\n"\nb="2"'
    with pytest.raises(ValueError, match="unsupported fieldPath"):
        fields.field_value(made, "spec.containers", IDENTITY)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"), ("x$(A)y$(B)", "x1y2"), ("$$(A)", "$(A)"), ("$$$(A)", "$1"), ("$(NOPE)", "$(NOPE)"),
        ("$A", "$A"), ("$(", "$("), ("$", "$"), ("$()", "$()"), ("$(A", "$(A"),
    ],
)  # fmt: skip
def test_expansion(text: str, expected: str) -> None:
    assert expand(text, {"A": "1"}, {"B": "2", "A": "never"}) == expected


@given(st.text(alphabet="ab c", max_size=30))
def test_text_without_dollars_is_never_changed(text: str) -> None:
    assert expand(text, {"a": "1"}) == text
