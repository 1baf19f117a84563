"""Recorded answers of a real Kubernetes 1.36 (`tests/golden/kubectl-*`), read and made comparable.

A recording is a list of cases: `$ command`, `#rc N`, `#stdout` and text, `#stderr` and text. `normalise` takes out what
differs between any two clusters: times, uids, revisions, addresses, generated names, column widths.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

GOLDEN = Path(__file__).parents[1] / "golden"


@dataclass(frozen=True, slots=True)
class Case:
    """One recorded command and its answer."""

    command: str
    code: int
    out: str
    err: str


def read(path: Path) -> list[Case]:
    """All cases of a recording, in order."""
    cases: list[Case] = []
    for block in re.split(r"^\$ ", path.read_text(), flags=re.MULTILINE)[1:]:
        command, _, rest = block.partition("\n#rc ")
        code, _, body = rest.partition("\n")
        parts = re.split(r"^#(stdout|stderr)\n", body, flags=re.MULTILINE)
        streams = dict(zip(parts[1::2], parts[2::2], strict=True))
        cases.append(Case(command, int(code), streams.get("stdout", ""), streams.get("stderr", "")))
    return cases


_REPLACEMENTS: tuple[tuple[str, str], ...] = (
    (r"#no-newline\n?", ""),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
    (r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000", "DATE"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
    (r'(resourceVersion"?: )"\d+"', r'\1"REVISION"'),
    (r'(resourceVersion"?: ?)\d+', r"\1REVISION"),
    (r"\b(docker|containerd)://[0-9a-f]{64}", "CONTAINER"),
    (r"sha256:[0-9a-f]{64}", "DIGEST"),
    (r"\b10\.(9[6-9]|1[01]\d)\.\d+\.\d+\b", "CLUSTERIP"),
    (r"\b10\.24[45]\.\d+\.\d+\b", "PODIP"),
    (r"\b(10\.250\.0\.10|192\.168\.123\.\d+)\b", "NODEIP"),
    (r"\bnode-?1\b", "NODE"),
    (r"\b3[0-2]\d{3}(/|\b)", r"NODEPORT\1"),
    (r"\b[a-f0-9]{8,10}-[b-df-hj-np-tv-xz2-9]{5}\b", "HASH-SUFFIX"),
    (r"(kube-api-access|numbers-api|numbers-web|headless|multi|kube-dns)-[b-df-hj-np-tv-xz2-9]{5}\b", r"\1-SUFFIX"),
    (r"\b(numbers-\w+|coredns|made)-[a-z0-9]{6,10}\b", r"\1-HASH"),
    (r"(pod-template-hash[=:\" ]+)[a-z0-9]{6,10}", r"\1HASH"),
    (r"\b(\d+[dhms]){1,2}( ago)?(?=\s|\)|$)", "AGE"),
    (r"\b\d+\.\d+s\b|\b\d+ms\b", "DURATION"),
    (r"<(invalid|unknown)>", "AGE"),
    (r"labctl/netexec(:latest)?", "agnhost:local"),
    (r"-{4,}", "----"),
    (r"[ \t]+", " "),
    (r" +\n", "\n"),
)


def normalise(text: str) -> str:
    """What must be the same on every cluster."""
    for pattern, replacement in _REPLACEMENTS:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text.strip()


def answers(out: str) -> list[str]:
    """Lines in an order of their own (a resolver prints its blocks as they come)."""
    return sorted(line for line in normalise(out).splitlines() if line.strip())
