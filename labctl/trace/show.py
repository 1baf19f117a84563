"""A story as text for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.trace.story import Connection, Lookup, Step, Story


def lines(story: Story) -> Iterator[str]:
    """The story, a line each."""
    yield f"Pod {story.pod} ({story.address}) on {story.node}; search list: {' '.join(story.search) or 'none'}"
    if not story.events:
        yield "it sent no packet"
    for event in story.events:
        yield from _lookup(event) if isinstance(event, Lookup) else _connection(event)


def _lookup(lookup: Lookup) -> Iterator[str]:
    yield f"{lookup.at_ms:9.2f} ms  DNS  {lookup.question} asked of {lookup.server}"
    if lookup.took_ms is None:
        yield f"{'':14}no answer"
        return
    by = f" by {lookup.answered_by}" if lookup.answered_by else ""
    yield f"{'':14}{lookup.answer}, answered{by} in {lookup.took_ms} ms"


def _connection(made: Connection) -> Iterator[str]:
    target = f"  ({made.target})" if made.target else ""
    yield f"{made.at_ms:9.2f} ms  {made.protocol:<4} {made.flow}{target}"
    node = ""
    for step in made.steps:
        if step.node != node:
            node = step.node
            yield f"{'':14}{node}"
        yield from _step(step)
    if made.translated:
        behind = f"  ({made.destination})" if made.destination else ""
        yield f"{'':14}DNAT: the target becomes {made.translated}{behind}"
    if made.masqueraded:
        yield f"{'':14}SNAT: the source becomes {made.masqueraded}"
    for hop in made.hops:
        yield f"{'':14}leaves {hop.node} by {hop.interface} after {hop.after_ms} ms: {hop.flow}"
    if made.reply:
        yield f"{'':14}reply: {made.reply}"
    yield f"{'':14}{made.outcome}"


def _step(step: Step) -> Iterator[str]:
    rule = step.rule if step.rule.startswith("policy") else step.rule or step.verdict
    yield f"{'':16}{step.table:<8} {step.chain:<28} {rule}"
    words = "; ".join(text for text in (step.objects, step.choice) if text)
    if words:
        yield f"{'':54}# {words}"
