"""Every recorded exchange is answered as a real Kubernetes 1.36 answered it, but for the differences listed here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.apiserver import recorded
from tests.apiserver.harness import Client

_NEW_MAP = "Kubernetes takes $retainKeys for data where the map that it is about is not there yet"
_SERIALIZER = "which serializer gives up first, and whether it shows the body, differs"
_MAPS = "/api/v1/namespaces/default/configmaps"
DIFFERENT: dict[str, str] = {
    f'PATCH {_MAPS}/a {{"kind": "Secret"}}': "Kubernetes decodes the data as a Secret's before it looks at the kind",
    f'PATCH {_MAPS}/a {{"data": {{"$patch": "replace", "only": "x"}}}}': "Kubernetes forgets the rest of the map",
    f'PATCH {_MAPS}/a {{"data": {{"$retainKeys": ["k"], "k": "v"}}}}': _NEW_MAP,
    f'PATCH {_MAPS}/a {{"data": {{"$retainKeys": ["z"], "k": "v"}}}}': _NEW_MAP,
    f'PATCH {_MAPS}/a {{"metadata": {{"labels": {{"x": null}}}}}}': "shows the data that the patches before left",
    f'POST {_MAPS} {{"apiVersion": "a/b/c", "kind": "ConfigMap"}}': _SERIALIZER,
    f'POST {_MAPS} {{"kind": 7}}': _SERIALIZER,
    f"POST {_MAPS} a: [": _SERIALIZER,
    f"POST {_MAPS} x": _SERIALIZER,
    f"POST {_MAPS} k8s\0xx": "an unreadable message is refused, not taken for an empty object",
    f"GET {_MAPS}?resourceVersionMatch=Exact&resourceVersion=1": "nothing is compacted in a server that has just started",
    "GET /apis/": "labctl serves fewer groups",
    "GET /version/": "labctl says what it is",
}
"""Request and body of what labctl answers otherwise, and why."""


@pytest.mark.parametrize("path", sorted(recorded.FOLDER.glob("*.jsonl")), ids=lambda p: p.stem)
async def test_answers_as_recorded(local: Client, path: Path) -> None:
    wrong = []
    for exchange in recorded.read(path):
        answer = _without_own_words(recorded.shown(await recorded.send(local, exchange)))
        expected = _expected(exchange)
        if answer != expected and _name(exchange) not in DIFFERENT:
            wrong.append(f"{_name(exchange)}\n  real {json.dumps(expected)}\n  ours {json.dumps(answer)}")
    assert not wrong, f"{len(wrong)} differ\n" + "\n".join(wrong)


def _expected(exchange: dict[str, Any]) -> dict[str, Any]:
    expected: dict[str, Any] = {k: exchange[k] for k in ("code", "answer", "warnings") if k in exchange}
    if expected["code"] == 500:  # Kubernetes' own slip for what is the client's mistake: 400 here, in the same words
        expected |= {"code": 400, "answer": {**expected["answer"], "reason": "BadRequest", "code": 400}}
    return expected


def _without_own_words(answer: dict[str, Any]) -> dict[str, Any]:
    """Without the Warnings of what labctl only stores or lacks, which Kubernetes has no reason to give."""
    warnings = [
        w for w in answer.pop("warnings", ()) if not w.startswith("labctl stores ") and ": labctl has no " not in w
    ]
    return answer | ({"warnings": warnings} if warnings else {})


def _name(exchange: dict[str, object]) -> str:
    body = exchange.get("raw") or (json.dumps(exchange["body"]) if "body" in exchange else "")
    return f"{exchange['request']} {body}".strip()
