"""What differs from the recordings, and why: (recording, part of the command) -> reason."""

from __future__ import annotations

from tests.docker.golden import Case

DIFFERENCES: dict[tuple[str, str], str] = {
    ("questions", "kubectl events"): "the recorded cluster had no scheduler: its pods have no event Scheduled",
    ("questions", "kubectl get events"): "the same",
    ("questions", "kubectl certificate approve x"): "certificates are out of scope: the kind is not served",
    (
        "questions",
        "kubectl debug tools --image=busybox:1.37 --container=helper --attach=false",
    ): "the message ends with the same words but without Go's diff of the two structs",
}


def reason(recording: str, case: Case) -> str | None:
    """Why the answer to a command may differ."""
    return DIFFERENCES.get((recording, case.command))
