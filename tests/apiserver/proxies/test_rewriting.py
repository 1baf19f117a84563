"""Headers and links of proxied messages."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.apiserver.proxies import rewriting
from labctl.apiserver.proxies.rewriting import Links

PREFIX = "/api/v1/namespaces/default/services/web/proxy"
LINKS = Links(PREFIX, frozenset({"10.244.1.7:8080", "localhost:8001"}))


def test_headers_of_one_connection_are_not_forwarded() -> None:
    headers = [
        (b"Host", b"x"),
        (b"Connection", b"close, X-Hop"),
        (b"X-Hop", b"1"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Authorization", b"Bearer secret"),
        (b"Expect", b"100-continue"),
        (b"X-Forwarded-For", b"10.0.0.1"),
        (b"X-Forwarded-Uri", b"/forged"),
        (b"Cookie", b"a=b"),
    ]
    assert rewriting.request_headers(headers, client="127.0.0.1", uri="/p/x") == [
        (b"host", b"x"),
        (b"cookie", b"a=b"),
        (b"x-forwarded-for", b"10.0.0.1, 127.0.0.1"),
        (b"x-forwarded-uri", b"/p/x"),
    ]


@pytest.mark.parametrize(
    ("url", "rewritten"),
    [
        ("/a?b=c#d", f"{PREFIX}/a?b=c#d"),
        ("/", f"{PREFIX}/"),
        ("http://10.244.1.7:8080/a", f"{PREFIX}/a"),
        ("https://localhost:8001/a", f"{PREFIX}/a"),
        ("http://example.org/a", "http://example.org/a"),
        ("//example.org/a", "//example.org/a"),
        ("a/b", "a/b"),
        ("#top", "#top"),
        (f"{PREFIX}/a", f"{PREFIX}/a"),
        ("http://[broken/a", "http://[broken/a"),
    ],
)
def test_links(url: str, rewritten: str) -> None:
    assert LINKS.rewrite(url) == rewritten


def test_a_page_keeps_everything_but_its_links() -> None:
    page = (
        '<!doctype html><a class="/x" HREF="/one?a=1&amp;b=2">/two</a><img src=\'/three.png\'>'
        '<script>if (a < b) { location = "/four" }</script><p data-href="/five" title="/six"><form action="/">\udcff'
    ).encode("utf-8", "surrogateescape")
    expected = (
        page.replace(b'"/one?', f'"{PREFIX}/one?'.encode())
        .replace(b"'/three", f"'{PREFIX}/three".encode())
        .replace(b'action="/"', f'action="{PREFIX}/"'.encode())
    )
    assert LINKS.rewrite_page(page, "") == expected
    assert gzip.decompress(LINKS.rewrite_page(gzip.compress(page), "gzip")) == expected
    assert LINKS.rewrite_page(page, "br") == page
    assert LINKS.rewrite_page(b"no gzip", "gzip") == b"no gzip"


def test_a_small_page_that_unpacks_to_a_large_one_stays_packed() -> None:
    packed = gzip.compress(bytes(rewriting.MAX_PAGE_BYTES + 1))
    assert LINKS.rewrite_page(packed, "gzip") == packed


@given(st.text(st.sampled_from("<>a hrefsc=\"'/&;\n"), max_size=60))
def test_any_page_can_be_rewritten_and_twice_is_once(text: str) -> None:
    once = LINKS.rewrite_page(text.encode(), "")
    assert LINKS.rewrite_page(once, "") == once
