"""Headers and links of proxied messages. Pure.

A page behind the proxy names its neighbours by paths of its own server; those are put behind the proxy's path, as the API
server of Kubernetes does (apimachinery, pkg/util/proxy/transport.go), so that a browser finds them.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape, unescape
from urllib.parse import urlsplit, urlunsplit

RawHeaders = list[tuple[bytes, bytes]]
MAX_PAGE_BYTES = 4 << 20  # larger pages pass as they are

_HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
_NOT_FORWARDED = frozenset((b"authorization", b"expect"))  # the token is the API server's affair
_ATTRIBUTES = (
    "action background cite classid codebase data formaction href icon longdesc manifest poster profile src usemap"
)
_TAG = re.compile(r"<[a-zA-Z][^<>]*>")
_LINK = re.compile(rf"""(\s(?:{_ATTRIBUTES.replace(" ", "|")})\s*=\s*)("[^"]*"|'[^']*')""", re.IGNORECASE)


def end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
    """The headers that concern both ends, not one connection. Names are lower case."""
    listed = [(name.lower(), value) for name, value in headers]
    named = {n.strip().lower() for name, value in listed if name == b"connection" for n in value.split(b",")}
    return [(name, value) for name, value in listed if name not in _HOP_BY_HOP and name not in named]


def request_headers(headers: Iterable[tuple[bytes, bytes]], *, client: str, uri: str) -> RawHeaders:
    """The headers of a request as the pod gets them; `client` is its address, `uri` the path at the API server."""
    kept = [(name, value) for name, value in end_to_end(headers) if name not in _NOT_FORWARDED]
    before = [value for name, value in kept if name == b"x-forwarded-for"]
    kept = [(name, value) for name, value in kept if name not in (b"x-forwarded-for", b"x-forwarded-uri")]
    if client:
        kept.append((b"x-forwarded-for", b", ".join([*before, client.encode()])))
    return [*kept, (b"x-forwarded-uri", uri.encode())]


@dataclass(frozen=True, slots=True)
class Links:
    """How links are rewritten: `prefix` is the proxy's own path, `hosts` are the names under which the pod is meant."""

    prefix: str
    hosts: frozenset[str]

    def rewrite(self, url: str) -> str:
        """A link as it has to be behind the proxy; relative ones and those to others stay."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return url
        if (parts.netloc and parts.netloc not in self.hosts) or not parts.path.startswith("/"):
            return url
        path = parts.path if parts.path.startswith(self.prefix) else self.prefix + parts.path
        return urlunsplit(("", "", path, parts.query, parts.fragment))

    def rewrite_page(self, page: bytes, encoding: str) -> bytes:
        """An HTML page with its links rewritten; one in an encoding that is not known stays as it is."""
        if encoding == "gzip":
            try:
                plain = zlib.decompressobj(wbits=31).decompress(page, MAX_PAGE_BYTES)
            except zlib.error:
                return page
            return gzip.compress(self.rewrite_page(plain, "")) if len(plain) < MAX_PAGE_BYTES else page
        if encoding:
            return page
        text = page.decode("utf-8", "surrogateescape")
        text = _TAG.sub(lambda tag: _LINK.sub(self._rewrite_link, tag[0]), text)
        return text.encode("utf-8", "surrogateescape")

    def _rewrite_link(self, match: re.Match[str]) -> str:
        old = unescape(match[2][1:-1])
        new = self.rewrite(old)
        return match[0] if new == old else f"{match[1]}{match[2][0]}{escape(new)}{match[2][0]}"
