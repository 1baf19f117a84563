"""`labctl up`: a lab from nothing, or the repair of what is missing, as a list of small steps.

Every step looks at what there is and makes only the difference, so running it again after an interruption, a reboot or
a lost container is always right.
"""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from labctl.client import kubeconfig
from labctl.config import LabConfig
from labctl.dns import corefile
from labctl.errors import LabctlError, UsageError
from labctl.lab import (
    addons,
    certificates,
    compose,
    engine,
    images,
    ipv6,
    leftovers,
    networks,
    plan,
    proxy_mode,
    readiness,
    record,
    resources,
)
from labctl.lab import corefile as live_corefile
from labctl.lab.alone import alone
from labctl.lab.paths import StateFolder, command, context_of, pods_bridge_of
from labctl.lab.plan import UpOptions
from labctl.lab.progress import Report, Say, step
from labctl.lab.record import Record
from labctl.lab.shell import CommandFailed
from labctl.proxy.mode import Mode
from labctl.proxy.mode import config_map as proxy_config_map

if TYPE_CHECKING:
    import docker

_ATTEMPTS = 3  # two labs started at the same moment may choose the same free range
_LOST_RACES = ("overlap", "port is already allocated")  # somebody took the range or the port after we had looked


@dataclass(frozen=True, slots=True)
class Started:
    """What `up` achieved: the lab as decided, its kubeconfig context, and how long it took."""

    record: Record
    context: str
    seconds: float
    repaired: bool


def up(options: UpOptions, report: Report) -> Started:
    """Start or repair a lab; returns when DNS answers a pod. Raises LabctlError; what exists by then stays for `up`."""
    started = time.monotonic()
    options = plan.checked(options)
    with alone(StateFolder.of(options.name), report):
        lab, known = _up(options, report)
    return Started(lab, context_of(options.name), time.monotonic() - started, repaired=known)


def _up(options: UpOptions, report: Report) -> tuple[Record, bool]:
    """The lab, and whether there was one before."""
    if options.ip_family == "dual":
        ipv6.require()
    kubeconfig.has_context(context_of(options.name))  # one that cannot be read is told before anything is created
    with step(report, "Docker") as say:
        client = engine.connect()
        compose.command()
        say(f"engine {client.api.api_version}")
    known = record.load(options.name)
    with step(report, "images"):
        found = images.ensure(client, report)
    for attempt in range(1, _ATTEMPTS + 1):
        lab = _decide(client, options, known, found, report)
        try:
            _create(lab, report)
            break
        except CommandFailed as error:
            if not any(words in error.output.lower() for words in _LOST_RACES) or attempt == _ATTEMPTS:
                raise LabctlError(f"Compose could not create the lab: {compose.reason(error.output)}") from error
    _choose_context(lab, report)
    _wait(client, lab, report)
    if options.dns_upstreams is not None:
        _choose_upstreams(client, lab, report)
    if options.proxy_mode:
        _choose_proxy_mode(client, lab, options.proxy_mode, report)
    return lab, known is not None


def _choose_context(lab: Record, report: Report) -> None:
    """Add the lab's context to the kubeconfig and make it current; what was current before is remembered once."""
    name = context_of(lab.config.name)
    with step(report, "kubeconfig") as say:
        credentials = lab.config.credentials
        previous = kubeconfig.add_context(
            name, server=lab.server, ca_certificate=credentials.ca_certificate, token=credentials.admin_token
        )
        if previous != name:
            StateFolder.of(lab.config.name).remember_context(previous)
        say(f'context "{name}"')


def _decide(
    client: docker.DockerClient, options: UpOptions, known: Record | None, found: images.Images, report: Report
) -> Record:
    """The lab's record: the known one brought up to date, or a new one."""
    with step(report, "plan") as say:
        lab = _renewed(known, options) if known else _new(client, options, say)
        lab = replace(lab, config=_with_images(lab, found))
        record.save(lab)
        say("; ".join(plan.Ranges.of(lab.config).words()))
    return lab


def _new(client: docker.DockerClient, options: UpOptions, say: Say) -> Record:
    ranges = networks.choose(options, networks.in_use(client, but_of_lab=options.name))
    if options.ip_family == "dual":
        ranges = ipv6.beside(ranges)
        ipv6.refuse_collisions(ranges, networks.in_use6(client))
    port = networks.free_port(options.api_port)
    say("certificates")
    credentials = certificates.issue(
        certificates.api_server_names("cluster.local"), plan.api_server_addresses(ranges), now=dt.datetime.now(dt.UTC)
    )
    bridge = pods_bridge_of(options.name) if engine.direct_access(client.api.api_version) == "by name" else ""
    config = plan.config(options, ranges, nodes=options.nodes or 2, credentials=credentials, pods_bridge=bridge)
    return Record(config, port, options.dns_upstreams or ())


def _renewed(known: Record, options: UpOptions) -> Record:
    """An existing lab with what may change later: more nodes, other resolvers."""
    config = known.config
    fixed = {"--pod-cidr": (options.pod_cidr, config.pod_cidr), "--lan-cidr": (options.lan_cidr, config.lan_cidr)}
    fixed["--ip-family"] = (options.ip_family, config.ip_family)
    fixed["--port"] = (str(options.api_port or known.api_port), str(known.api_port))
    for option, (asked, present) in fixed.items():
        if asked is not None and asked != present:
            raise UsageError(
                f'lab "{config.name}" exists with {option} {present}',
                hint=f"'{command('down', config.name)}' first to change that",
            )
    nodes = options.nodes or len(config.nodes)
    if nodes < len(config.nodes):
        raise UsageError(
            f'lab "{config.name}" has {len(config.nodes)} nodes',
            hint=f"'{command('down', config.name)}', then up with --nodes {nodes}",
        )
    grown = replace(config, nodes=plan.node_configs(nodes, plan.Ranges.of(config)))
    upstreams = known.dns_upstreams if options.dns_upstreams is None else options.dns_upstreams
    return replace(known, config=grown, dns_upstreams=upstreams)


def _with_images(lab: Record, found: images.Images) -> LabConfig:
    """The configuration with what depends on images and templates of this version of labctl."""
    config = lab.config
    settings = corefile.CorefileSettings(
        config.cluster_domain, lab.dns_upstreams, plan.stand_in_hosts(config.lan_cidr, lab.dns_upstreams)
    )
    text = corefile.render((resources.folder("templates") / "Corefile.j2").read_text(), settings)
    objects = addons.coredns(found.coredns, text, dns_address=config.dns_address)
    objects = (proxy_config_map(config.proxy_mode), *objects)
    return replace(config, lab_image=found.lab, stand_ins=found.stand_ins, addons=objects)


def _create(lab: Record, report: Report) -> None:
    folder = StateFolder.of(lab.config.name)
    template = (resources.folder("compose") / "lab.yaml.j2").read_text()
    text = compose.render(template, lab.config, api_port=lab.api_port, docker_socket=engine.socket_path())
    folder.write(folder.compose, text)
    with step(report, "containers and networks") as say:
        compose.up(lab.config.name, folder.compose)
        say(f"control plane and {len(lab.config.nodes)} nodes")


def _wait(client: docker.DockerClient, lab: Record, report: Report) -> None:
    name = lab.config.name
    hint = f"'docker logs labctl-{name}-control-plane' tells more"
    with step(report, "API server") as say:
        readiness.until(lambda: _api_missing(client, lab), timeout_s=30, what="no ready API server", hint=hint)
        say(lab.server)
    with step(report, "nodes"):
        readiness.until(lambda: readiness.nodes_missing(lab), timeout_s=30, what="nodes are missing", hint=hint)
    with step(report, "DNS") as say:
        missing = lambda: readiness.dns_missing(client, lab)  # noqa: E731  # a probe of one line
        readiness.until(
            missing, timeout_s=60, what="DNS does not answer", hint=f"'{command('status', name)}' tells more"
        )
        say(f"{lab.config.dns_address} answers a pod")


def _choose_upstreams(client: docker.DockerClient, lab: Record, report: Report) -> None:
    """Whom DNS asks for names outside the cluster; those of a new lab stand in its Corefile from the start."""
    upstreams = ", ".join(lab.dns_upstreams)
    with step(report, "DNS upstream") as say:
        live_corefile.ensure(lab)
        if not upstreams:
            say("none")
            return
        readiness.until(
            lambda: readiness.dns_missing(client, lab, name=".", kind="ns", lookup_s=3, lookups=1),
            timeout_s=20,
            what=f"no answer from {upstreams} to a pod",
            hint="only names outside the cluster fail; 'labctl up --dns-upstream ADDRESS' changes it, 'none' ends it",
        )
        say(f"{upstreams} answers")


def _choose_proxy_mode(client: docker.DockerClient, lab: Record, mode: Mode, report: Report) -> None:
    """The mode of all nodes; those of a new lab have it from the start."""
    with step(report, "proxy mode") as say:
        proxy_mode.ensure(lab, mode)
        readiness.until(
            lambda: proxy_mode.missing(client, lab, mode),
            timeout_s=60,
            what="nodes are behind",
            hint=f"'docker logs labctl-{lab.config.name}-node-1' tells more",
        )
        say(mode)


def _api_missing(client: docker.DockerClient, lab: Record) -> str:
    """Like the readiness probe, but a control plane that has ended is not waited for."""
    missing = readiness.api_missing(lab)
    if missing:
        ended = [
            c
            for c in leftovers.find(client, lab.config.name).with_role("control-plane")
            if c.state in ("exited", "restarting", "dead")
        ]
        if ended:
            log = client.api.logs(ended[0].id, tail=3).decode(errors="replace").strip()
            raise LabctlError(f"the control plane ended: {log}")
    return missing
