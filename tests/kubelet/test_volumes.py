from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.api import kinds
from labctl.api.kinds import Kind
from labctl.api.objects import Object
from labctl.kubelet.fields import Identity
from labctl.kubelet.pod_directory import PodDirectory, write_payload
from labctl.kubelet.volumes import EmptyDir, File, MountError, Payload, Sources, contents, referenced
from tests.kubelet.conftest import pod


def lookup(kind: Kind, namespace: str, name: str) -> Object | None:
    known = {
        (kinds.CONFIG_MAP, "conf"): {"data": {"a": "1", "b": "2"}},
        (kinds.CONFIG_MAP, "kube-root-ca.crt"): {"data": {"ca.crt": "PEM"}},
        (kinds.SECRET, "hidden"): {"data": {"k": base64.b64encode(b"\x00s").decode()}},
    }
    return known.get((kind, name))


SOURCES = Sources(lookup, lambda audience, expiry: f"token-{audience}-{expiry}", Identity())


def files(**volume: Any) -> dict[str, bytes]:
    made = contents(pod(), {"name": "v", **volume}, SOURCES)
    assert isinstance(made, Payload)
    return {path: file.data for path, file in made.files.items()}


def test_all_keys_or_those_asked_for() -> None:
    assert files(configMap={"name": "conf"}) == {"a": b"1", "b": b"2"}
    assert files(configMap={"name": "conf", "items": [{"key": "a", "path": "x/y"}]}) == {"x/y": b"1"}
    assert files(secret={"secretName": "hidden"}) == {"k": b"\x00s"}


def test_the_volume_of_every_pods_service_account() -> None:
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]
    assert files(projected={"sources": sources}) == {"token": b"token--3607", "ca.crt": b"PEM", "namespace": b"default"}


def test_modes() -> None:
    made = contents(pod(), {"name": "v", "secret": {"secretName": "hidden", "defaultMode": 0o400}}, SOURCES)
    assert isinstance(made, Payload) and made.files["k"].mode == 0o400


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        ({"configMap": {"name": "nope"}}, 'configmap "nope" not found'),
        ({"secret": {"secretName": "nope"}}, 'secret "nope" not found'),
        ({"configMap": {"name": "conf", "items": [{"key": "z", "path": "z"}]}}, "references non-existent config key: z"),
        ({"secret": {"secretName": "hidden", "items": [{"key": "z", "path": "z"}]}}, "references non-existent secret key: z"),
        ({"hostPath": {"path": "/"}}, "labctl has no hostPath volumes"),
        ({"persistentVolumeClaim": {"claimName": "c"}}, "labctl has no persistentVolumeClaim volumes"),
    ],
)  # fmt: skip
def test_what_cannot_be_mounted_is_told(volume: dict[str, Any], words: str) -> None:
    with pytest.raises(MountError, match=words):
        files(**volume)


def test_what_is_optional_may_be_missing() -> None:
    assert files(configMap={"name": "nope", "optional": True}) == {}


def test_empty_dirs() -> None:
    assert contents(pod(), {"name": "v", "emptyDir": {}}, SOURCES) == EmptyDir()
    memory = {"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}
    assert contents(pod(), memory, SOURCES) == EmptyDir(in_memory=True, size_bytes=1 << 20)


def test_the_objects_behind_a_pods_volumes() -> None:
    made = pod(
        volumes=[
            {"name": "a", "configMap": {"name": "conf"}},
            {"name": "b", "projected": {"sources": [{"secret": {"name": "hidden"}}]}},
        ]
    )
    assert referenced(made) == {(kinds.CONFIG_MAP, "conf"), (kinds.SECRET, "hidden")}


def test_a_payload_is_replaced_in_one_step(tmp_path: Path) -> None:
    assert write_payload(tmp_path, {"a": File(b"1"), "dir/b": File(b"2", 0o600)})
    assert (tmp_path / "a").read_bytes() == b"1" and (tmp_path / "dir" / "b").read_bytes() == b"2"
    assert (tmp_path / "..data").is_symlink() and (tmp_path / "a").readlink() == Path("..data/a")
    assert (tmp_path / "dir" / "b").stat().st_mode & 0o777 == 0o600
    assert not write_payload(tmp_path, {"a": File(b"1"), "dir/b": File(b"2", 0o600)}), "nothing changed"
    assert write_payload(tmp_path, {"c": File(b"3")})
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith("..")) == ["c"]
    assert len([p for p in tmp_path.iterdir() if p.name.startswith("..")]) == 2, "..data and what it points to"


_NAMES = st.text(alphabet="abc", min_size=1, max_size=3)


@given(st.lists(st.dictionaries(_NAMES, st.binary(max_size=4), max_size=4), min_size=1, max_size=4))
def test_a_volume_always_shows_the_last_payload(payloads: list[dict[str, bytes]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        for payload in payloads:
            write_payload(Path(folder), {name: File(data) for name, data in payload.items()})
        shown = {p.name: p.read_bytes() for p in Path(folder).iterdir() if not p.name.startswith("..")}
    assert shown == payloads[-1]


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x"])
def test_payloads_stay_inside_their_volume(tmp_path: Path, path: str) -> None:
    volume = tmp_path / "v"
    volume.mkdir()
    with pytest.raises(MountError):
        write_payload(volume, {path: File(b"")})


def test_a_sub_path_is_made_and_may_not_lead_out(tmp_path: Path) -> None:
    directory = PodDirectory(tmp_path, "u", prefix="pods")
    directory.write_volume("v", EmptyDir(), group=None)
    directory.ensure_subpath("v", "deep/er")
    assert (tmp_path / "u/volumes/v/deep/er").is_dir()
    (tmp_path / "u/volumes/v/out").symlink_to("/")
    with pytest.raises(MountError, match="leads out of the volume"):
        directory.ensure_subpath("v", "out")
    assert directory.subpath("volumes", "v") == "pods/u/volumes/v"
    directory.remove()
    assert not (tmp_path / "u").exists()


def test_an_empty_dir_is_for_everybody_and_survives_updates(tmp_path: Path) -> None:
    directory = PodDirectory(tmp_path, "u", prefix="pods")
    directory.write_volume("v", EmptyDir(), group=None)
    folder = tmp_path / "u/volumes/v"
    assert folder.stat().st_mode & 0o777 == 0o777
    (folder / "kept").touch()
    directory.write_volume("v", EmptyDir(), group=None)
    assert (folder / "kept").exists()


def test_a_termination_message_is_bounded(tmp_path: Path) -> None:
    directory = PodDirectory(tmp_path, "u", prefix="pods")
    assert directory.termination_message("main", 0) == ""
    log = directory.new_termination_log("main", 0)
    assert log == "pods/u/containers/main/0"
    (tmp_path / "u/containers/main/0").write_bytes(b"x" * 10_000)
    assert len(directory.termination_message("main", 0)) == 4096
