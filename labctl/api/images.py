"""Image references: what the name says, by the grammar of github.com/distribution/reference."""

from __future__ import annotations

import re
from dataclasses import dataclass

_COMPONENT = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_COMPONENT}(?:\.{_COMPONENT})*|\[(?:[a-fA-F0-9:]+)\])(?::[0-9]+)?"
_PATH = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<domain>{_DOMAIN})/(?P<path>{_PATH}(?:/{_PATH})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?",
    re.ASCII,
)
_MAX_NAME = 255


@dataclass(frozen=True, slots=True)
class ImageName:
    """A normalised reference: `docker.io`, `library/nginx`, `latest`, empty digest."""

    domain: str
    path: str
    tag: str
    digest: str


def parse(image: str) -> ImageName | None:
    """Read an image reference as `docker pull` would; None when it is none. Without tag and digest: `latest`."""
    if re.fullmatch(r"[a-f0-9]{64}", image):
        return None  # an id, not a name
    first, slash, _ = image.partition("/")
    if not slash:
        full = f"docker.io/library/{image}"
    elif not any(c in first for c in ".:") and first != "localhost" and first == first.lower():
        full = f"docker.io/{image}"
    else:
        full = image
    match = _REFERENCE.fullmatch(full)
    if match is None or len(match["path"]) > _MAX_NAME:
        return None
    domain = "docker.io" if match["domain"] == "index.docker.io" else match["domain"]
    path = match["path"]
    if domain == "docker.io" and "/" not in path:
        path = f"library/{path}"
    tag, digest = match["tag"] or "", match["digest"] or ""
    return ImageName(domain, path, tag if tag or digest else "latest", digest)
