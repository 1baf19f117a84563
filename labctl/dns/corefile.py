"""The Corefile of the lab's CoreDNS, rendered from a template; pure text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import jinja2


@dataclass(frozen=True, slots=True)
class CorefileSettings:
    """What may differ between labs.

    `upstreams` are resolvers asked for names outside the cluster (`ADDRESS` or `ADDRESS:PORT`); without any such names
    do not exist. `hosts` maps names to the addresses that stand in for them.
    """

    cluster_domain: str = "cluster.local"
    upstreams: Sequence[str] = ()
    hosts: Mapping[str, str] = field(default_factory=dict)


def render(template: str, settings: CorefileSettings) -> str:
    """The Corefile. `template` is the text of templates/Corefile.j2; a variable it misspells is an error."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=True)  # noqa: S701  # a Corefile is no HTML
    return environment.from_string(template).render(
        cluster_domain=settings.cluster_domain, upstreams=list(settings.upstreams), hosts=dict(settings.hosts)
    )
