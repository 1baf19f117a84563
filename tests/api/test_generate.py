"""The generator on a small Go source, and the committed facts against what it promises."""

import re

import pytest

from labctl.api import schema
from labctl.api.data import generate

SOURCE = """
package v1

// +enum
// What it speaks.
type Protocol string

const (
	// A sentence that must not end up in the facts.
	ProtocolTCP Protocol = "TCP"
	ProtocolUDP Protocol = "UDP"
)

// +structType=atomic
type Port struct {
	// The number.
	Number int32 `json:"number" protobuf:"varint,3,opt,name=number"`
	// +default=ref(ProtocolTCP)
	// +optional
	Protocol *Protocol `json:"protocol,omitempty" protobuf:"bytes,2,opt,name=protocol,casttype=Protocol"`
	// +listType=map
	// +listMapKey=key
	// +listMapKey=value
	Labels []Label `json:"labels,omitempty" patchStrategy:"merge" patchMergeKey:"key" protobuf:"bytes,4,rep,name=l"`
	When metav1.Time `json:"when,omitempty,omitzero" protobuf:"bytes,5,opt,name=when"`
	Limits map[ResourceName]resource.Quantity `json:"limits,omitempty" protobuf:"bytes,6,rep,name=limits"`
	Source `json:",inline" protobuf:"bytes,7,opt,name=source"`
}
"""


def facts(name: str) -> str:
    source = generate._Source("core/v1", SOURCE, {"metav1": "meta/v1"})
    return source.types[name].text()


def test_structs_are_written_field_by_field() -> None:
    assert facts("Port").splitlines() == [
        "core/v1.Port atomic",
        " number 3 int32 required",
        ' protocol 2 *core/v1.Protocol omitempty default="TCP"',
        " labels 4 []core/v1.Label omitempty list=map keys=key,value strategy=merge merge=key",
        " when 5 Time omitempty omitzero",
        " limits 6 map[string]Quantity omitempty",
        " + 7 core/v1.Source",
    ]


def test_enumerations_carry_their_values() -> None:
    assert facts("Protocol") == "core/v1.Protocol = string TCP UDP"


def test_no_sentence_gets_into_the_facts() -> None:
    line = re.compile(r"( ?[\w+./-]+( = \S+.*| atomic)?| (\w[\w$.-]*|\+) \d+ \S+( [a-z]+(=\S+)?)*|#.*)")
    unexpected = [text for text in generate.OUTPUT.read_text().splitlines() if not line.fullmatch(text)]
    assert unexpected == []


def test_facts_are_closed() -> None:
    for name in schema.names():
        try:
            fields = schema.struct(name).fields
        except schema.UnknownType:
            continue  # a named simple type
        for known in fields.values():
            inner = known.type
            while inner.element is not None:
                inner = inner.element
            if inner.shape == "struct":
                inner.struct()


def test_roots_cover_every_kind_and_its_list() -> None:
    assert {"core/v1.Pod", "core/v1.PodList", "policy/v1.Eviction", "meta/v1.DeleteOptions"} <= set(
        generate.root_types()
    )
    assert set(generate.root_types()) <= set(schema.names())


@pytest.mark.parametrize("definitions", [{}, {"io.k8s.api.core.v1.Unknown": {"description": "x"}}])
def test_descriptions_of_types_that_are_not_served_are_left_out(definitions: dict[str, object]) -> None:
    assert generate.descriptions(definitions) == {}


def test_descriptions_are_taken_by_type_and_field() -> None:
    lease = {"description": "A.", "properties": {"spec": {"description": "B."}, "kind": {"type": "string"}}}
    assert generate.descriptions({"io.k8s.api.coordination.v1.Lease": lease}) == {
        "io.k8s.api.coordination.v1.Lease": ("A.", {"spec": "B."})
    }


def test_enumerated_values_are_explained_as_kube_openapi_does() -> None:
    source = generate._Source("core/v1", SOURCE, {"metav1": "meta/v1"})
    assert source.sentences["core/v1.Protocol"] == {
        "TCP": "A sentence that must not end up in the facts.",
        "UDP": "",
    }
    found = {"io.k8s.api.core.v1.ServiceSpec": ("", {"type": "The type.", "ports": "The ports."})}
    generate.add_enumerations(found, {"core/v1.ServiceType": {"NodePort": "is open.", "ClusterIP": "is inside."}})
    assert found["io.k8s.api.core.v1.ServiceSpec"][1] == {
        "type": 'The type.\n\nPossible enum values:\n - `"ClusterIP"` is inside.\n - `"NodePort"` is open.',
        "ports": "The ports.",
    }
