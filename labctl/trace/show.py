"""A story as text for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.trace.model import Connection, Lookup, Origin, Passage, Step, Story

_INDENT = " " * 4
_BESIDE = " " * 19  # below a question
_WIDTH = 120  # a longer line has its remark below
_STAGES = {
    "prerouting": "coming in (PREROUTING)",
    "input": "for the node itself (INPUT)",
    "forward": "passing through (FORWARD)",
    "output": "sent by the node itself (OUTPUT)",
    "postrouting": "going out (POSTROUTING)",
}


def lines(story: Story) -> Iterator[str]:
    """The story, a line each."""
    yield from _origin(story.origin)
    if not story.events:
        yield f"{_INDENT}it sent no packet"
    for event in story.events:
        yield ""
        yield from _lookup(event) if isinstance(event, Lookup) else _connection(event)


def _origin(origin: Origin) -> Iterator[str]:
    yield f"{origin.title} ({', '.join(origin.addresses)})"
    if origin.search:
        yield f"  names without a dot at the end are tried with: {' '.join(origin.search)}"
    if origin.gateway:
        yield f"  every packet goes to its node first: default route via {origin.gateway}"


def _lookup(lookup: Lookup) -> Iterator[str]:
    yield f"{lookup.at_ms:9.2f} ms  DNS  {lookup.question} asked of {lookup.server}"
    if lookup.took_ms is None:
        yield f"{_BESIDE}no answer"
        return
    by = f" by {lookup.answered_by}" if lookup.answered_by else ""
    yield f"{_BESIDE}{lookup.answer}, answered{by} in {lookup.took_ms} ms"


def _connection(made: Connection) -> Iterator[str]:
    target = f"  ({made.target})" if made.target else ""
    yield f"{made.at_ms:9.2f} ms  {made.protocol:<4} {made.flow}{target}"
    for passage in made.passages:
        yield from _passage(passage)
    if made.reply:
        yield f"{_INDENT}reply: {made.reply}"
    yield f"{_INDENT}{made.outcome}"


def _passage(passage: Passage) -> Iterator[str]:
    yield f"{_INDENT}{passage.node}"
    stage = ""
    for step in passage.steps:
        if step.stage != stage:
            stage = step.stage
            yield f"{_INDENT}  {_STAGES.get(stage, stage)}"
        yield from _step(step)
    told = {s.effect.partition(":")[0] for s in passage.steps}  # the kernel may lose lines of its trace
    if passage.dnat and "DNAT" not in told:
        yield f"{_INDENT}  DNAT: the target becomes {passage.dnat}"
    if passage.snat and "SNAT" not in told:
        yield f"{_INDENT}  SNAT: the source becomes {passage.snat}"
    if passage.left:
        to = f"  ({passage.destination})" if passage.destination else ""
        yield f"{_INDENT}  leaves by {passage.left_by} after {passage.left_after_ms} ms: {passage.left}{to}"


def _step(step: Step) -> Iterator[str]:
    rule = f"{_INDENT}    {step.table:<6} {step.chain:<25} {step.rule}"
    words = "; ".join(text for text in (step.objects, step.choice, step.effect) if text)
    if not words:
        yield rule
    elif len(rule) + len(words) + 4 <= _WIDTH:
        yield f"{rule}  # {words}"
    else:
        yield rule
        yield f"{_INDENT}           # {words}"
