import pytest

from labctl.api import images


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("nginx", ("docker.io", "library/nginx", "latest", "")),
        ("nginx:1.25", ("docker.io", "library/nginx", "1.25", "")),
        ("kiamol/ch03-sleep", ("docker.io", "kiamol/ch03-sleep", "latest", "")),
        ("localhost/a", ("localhost", "a", "latest", "")),
        ("localhost:5000/a/b:c", ("localhost:5000", "a/b", "c", "")),
        ("registry.k8s.io/pause:3.10", ("registry.k8s.io", "pause", "3.10", "")),
        ("a@sha256:" + "0" * 64, ("docker.io", "library/a", "", "sha256:" + "0" * 64)),
        ("Upper/a", ("Upper", "a", "latest", "")),
    ],
)
def test_names_are_normalised(image: str, expected: tuple[str, str, str, str]) -> None:
    found = images.parse(image)
    assert found is not None
    assert (found.domain, found.path, found.tag, found.digest) == expected


@pytest.mark.parametrize(
    "image", ["", "Nginx", "a b", "nginx:", "-a", "a//b", "0" * 64, "a@sha256:0", "a:" + "x" * 129]
)
def test_what_is_no_reference(image: str) -> None:
    assert images.parse(image) is None
