"""HTTP exchanges recorded from a real Kubernetes 1.36 API server (`tests/golden/api-1.36/*.jsonl`).

One JSON object a line: `request` (method and path), `body` or `raw`, `type` (its content type), `headers`; and what was
answered: `code`, `answer`, `warnings`. The exchanges of a file are made in order on a server that has nothing but the
namespace default with its ServiceAccount. To record again, with new lines that have a request only:

    LABCTL_KUBE_APISERVER=https://127.0.0.1:6443 python -m tests.apiserver.recorded
"""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

from tests.apiserver import remote
from tests.apiserver.harness import Answer, Client, server

FOLDER = Path(__file__).parents[1] / "golden" / "api-1.36"
_REPLACED = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
    (r"\b10\.(9[6-9]|1[01]\d)\.\d+\.\d+\b(?!/)", "CLUSTERIP"),
    (r'(nodePort|NodePort)(\\?": ?)3[0-2]\d{3}\b', r"\1\2NODEPORT"),
    (r'(resourceVersion\\*": ?\\*")\d+', r"\1REVISION"),
    (r"in record \(\d+\)", "in record (REVISION)"),
    (r":(6443|7643)\b", ":PORT"),
    (r"kube-api-access-[a-z0-9]{5}", "kube-api-access-SUFFIX"),
    (r'in scheme \\"[^"]*"', r'in scheme \\"SCHEME\\"'),  # a path of Kubernetes' sources
    (r'patch: Invalid value: \\"{.*?}\\": ', "patch: Invalid value: OBJECT: "),  # in another order of fields
    (r'"Invalid value: \\"{.*?}\\": (?=[^"]*(\\"[^"]*)*","field":"patch")', '"Invalid value: OBJECT: '),
)
_GOES_ITS_OWN_WAY = ("managedFields",)


def read(path: Path) -> list[dict[str, Any]]:
    """The exchanges of a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


async def send(client: Client, exchange: dict[str, Any]) -> Answer:
    """Make the request of an exchange."""
    method, _, path = exchange["request"].partition(" ")
    body = exchange["raw"].encode() if "raw" in exchange else exchange.get("body")
    kind = exchange.get("type", "application/json")
    return await client.request(method, path, body, content_type=kind, headers=exchange.get("headers"))


def shown(answer: Answer) -> dict[str, Any]:
    """What of an answer must be the same on every server."""
    text = answer.body.decode()
    for pattern, replacement in _REPLACED:
        text = re.sub(pattern, replacement, text)
    text = re.sub(r'":NODEPORT', '":"NODEPORT"', text)
    try:
        body = _without(json.loads(text))
        if isinstance(body, dict) and "causes" in body.get("details", {}):
            causes = body["details"]["causes"]  # some are found twice: once for all kinds, once for this one
            body["details"]["causes"] = [c for i, c in enumerate(causes) if c not in causes[:i]]
    except ValueError:
        body = text
    result: dict[str, Any] = {"code": answer.code, "answer": body}
    if answer.warnings:
        result["warnings"] = answer.warnings
    return result


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without(v) for k, v in value.items() if k not in _GOES_ITS_OWN_WAY}
    return [_without(v) for v in value] if isinstance(value, list) else value


async def _record() -> None:
    from tests.apiserver.conftest import empty

    client = Client(server(), app=remote.forward(remote.URL))
    for path in sorted(FOLDER.glob("*.jsonl")):
        await empty(client)
        lines = []
        for exchange in read(path):
            asked = {k: v for k, v in exchange.items() if k not in ("code", "answer", "warnings")}
            lines.append(json.dumps(asked | shown(await send(client, exchange))))
        path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    asyncio.run(_record())
