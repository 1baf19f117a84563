from pathlib import Path

import pytest

from labctl import manifests
from labctl.manifests import ManifestError
from tests.docker import golden

FOLDER = golden.GOLDEN / "manifests"


def objects(text: str) -> list[object]:
    return [d.object for d in manifests.parse(text, "x.yaml")]


def test_documents_know_their_line() -> None:
    text = "# first\n\na: 1\n---\n\n# only a comment\n--- # second\nb: 2\n---\n"
    assert [(d.object, d.where) for d in manifests.parse(text, "x.yaml")] == [
        ({"a": 1}, "x.yaml:3"),
        ({"b": 2}, "x.yaml:8"),
    ]


@pytest.mark.parametrize("text", ["a: 1\r\n---\r\nb: [x]\r\n", "\ufeffa: 1\n---\nb:\n- x\n", '{"a": 1}\n{"b": ["x"]}'])
def test_line_ends_byte_order_mark_and_json(text: str) -> None:
    assert objects(text) == [{"a": 1}, {"b": ["x"]}]


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("yes", True),
        ("off", False),
        ("Y", True),
        ("'yes'", "yes"),
        ("2026-11-23", "2026-11-23"),
        ("12:30:45", "12:30:45"),
        ("0755", 493),
        ("1e3", 1000.0),
        ("~", None),
        ("1.10", 1.1),
    ],
)
def test_scalars_as_kubernetes_reads_them(scalar: str, value: object) -> None:
    assert objects(f"a: {scalar}") == [{"a": value}]


def test_keys_become_text_and_merges_work() -> None:
    assert objects("base: &b {p: 1, q: 2}\nderived: {<<: *b, q: 3}\n8080: z\ntrue: t") == [
        {"base": {"p": 1, "q": 2}, "derived": {"p": 1, "q": 3}, "8080": "z", "true": "t"}
    ]


def test_lists_are_expanded() -> None:
    text = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod}\n- {apiVersion: v1, kind: Service}\n"
    assert [d.object["kind"] for d in manifests.parse(text, "x")] == ["Pod", "Service"]
    typed = "apiVersion: apps/v1\nkind: DeploymentList\nitems:\n- metadata: {name: a}\n"
    assert objects(typed) == [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", 'line 4: key "c" already set in map'),
        ("a: 1\n---\nb: 1\nb: 2\n", 'line 4: key "b" already set in map'),
        ("a: 1\n---\nb: x: y\n", "line 3: mapping values are not allowed in this context"),
        ("a: *nowhere", "unknown anchor referenced"),
        ("? {a: b}\n: c", "line 1: invalid map key"),
    ],
)
def test_refused_with_file_and_line(text: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        objects(text)
    assert caught.value.message == f"error parsing x.yaml: error converting YAML to JSON: yaml: {message}"


@pytest.mark.parametrize("text", ["just text", "- a\n- b", "a: b\n---\n12"])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ManifestError, match="a Kubernetes object is expected here"):
        objects(text)


def test_error_words_of_the_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    cases = golden.read(golden.GOLDEN / "kubectl-1.36" / "05-errors.txt")
    for command in ("kubectl apply -f bad-yaml.yaml", "kubectl apply -f missing.yaml"):
        case = next(c for c in cases if c.command == command)
        with pytest.raises(ManifestError) as caught:
            list(manifests.read([command.split()[-1]]))
        assert f"error: {caught.value}" == case.err.strip()


def test_folders_are_read_by_name_and_recursively_when_asked(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("b.yaml", "a.yml", "c.json", "notes.txt", "sub/d.yaml"):
        (tmp_path / name).write_text(f'{{"name": "{name}"}}')
    names = [d.object["name"] for d in manifests.read([str(tmp_path)])]
    assert names == ["a.yml", "b.yaml", "c.json"]
    assert len(list(manifests.read([str(tmp_path)], recursive=True))) == 4
    assert [d.object["name"] for d in manifests.read([f"{tmp_path}/*.yaml"])] == ["b.yaml"]


def test_standard_input_and_files_in_the_order_given(tmp_path: Path) -> None:
    file = tmp_path / "any.name"
    file.write_text("a: 1")
    found = [d.source for d in manifests.read(["-", str(file)], stdin=lambda: "b: 2\n---\nc: 3")]
    assert found == ["STDIN", "STDIN", str(file)]


def test_text_that_is_no_utf8(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(b"a: \xff")
    with pytest.raises(ManifestError, match="no UTF-8 text: byte 3"):
        list(manifests.read([str(file)]))


def test_url_that_nobody_serves() -> None:
    with pytest.raises(ManifestError, match=r'unable to read URL "http://127\.0\.0\.1:1/x\.yaml": Connection refused'):
        list(manifests.read(["http://127.0.0.1:1/x.yaml"]))


def test_a_folder_without_manifests_says_what_would_be_one(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no manifest")
    with pytest.raises(
        ManifestError, match=r"error reading \[.*\]: recognized file extensions are \[\.json \.yaml \.yml\]"
    ):
        list(manifests.read([str(tmp_path)]))
