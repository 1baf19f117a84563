"""Commands of a lab's life: up, status, doctor, down."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

_PANEL = "Lab"
Name = Annotated[str, typer.Option("--name", envvar="LABCTL_NAME", help="Name of the lab; several run side by side.")]
DEFAULT = "lab"


class IpFamily(Enum):
    """The address families of a lab."""

    IPV4 = "ipv4"
    DUAL = "dual"


class ProxyMode(Enum):
    """kube-proxy's modes."""

    IPTABLES = "iptables"
    NFTABLES = "nftables"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(rich_help_panel=_PANEL)(up)
    app.command(rich_help_panel=_PANEL)(status)
    app.command(rich_help_panel=_PANEL)(doctor)
    app.command(rich_help_panel=_PANEL)(down)


def up(
    name: Name = DEFAULT,
    nodes: Annotated[int | None, typer.Option(help="Number of nodes (two, unless the lab exists).")] = None,
    pod_cidr: Annotated[
        str | None, typer.Option(help="Range of pods' addresses (10.244.0.0/16 or a free one).")
    ] = None,
    lan_cidr: Annotated[
        str | None, typer.Option(help="Range of the lab's LAN (192.168.123.0/24 or a free one).")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port of the API server on 127.0.0.1.")] = None,
    proxy_mode: Annotated[
        ProxyMode | None, typer.Option(help="How nodes program Services (iptables); also of a lab that runs.")
    ] = None,
    ip_family: Annotated[
        IpFamily | None, typer.Option(help="IPv4 alone (ipv4), or pods, nodes and Services with IPv6 beside it.")
    ] = None,
    dns_upstream: Annotated[
        list[str] | None,
        typer.Option(help="Resolver for names outside the cluster, 'host' for this machine's own, or none (default)."),
    ] = None,
) -> None:
    """Start a lab, or repair what is missing of it; ends when DNS answers a pod.

    Example: `labctl up --nodes 3`
    """
    from labctl.cli.progress import reporter
    from labctl.lab import up as lab_up
    from labctl.lab.paths import command
    from labctl.lab.plan import UpOptions

    options = UpOptions(
        name=name,
        nodes=nodes,
        pod_cidr=pod_cidr,
        lan_cidr=lan_cidr,
        api_port=port,
        proxy_mode=proxy_mode.value if proxy_mode else None,
        ip_family=ip_family.value if ip_family else None,
        dns_upstreams=tuple(dns_upstream) if dns_upstream else None,
    )
    try:
        started = lab_up.up(options, reporter())
    except KeyboardInterrupt:
        again, away = command("up", name), command("down", name)
        text = f"interrupted: '{again}' goes on from here, '{away}' removes what there is"
        typer.echo(f"\n{text}", err=True)
        raise
    typer.echo(f'Lab "{name}" works ({started.seconds:.1f} s). kubectl context: {started.context}')


def status(name: Name = DEFAULT) -> None:
    """Show every part of a lab and whether it works; exit code 1 when something does not."""
    from labctl.lab import status as lab_status
    from labctl.lab.paths import command

    seen = lab_status.status(name)
    if not seen.exists:
        typer.echo(f'Lab "{name}" does not exist: {command("up", name)} starts it.')
        raise typer.Exit(1)
    width = max((len(p.name) for p in seen.parts), default=0)
    for part in seen.parts:
        typer.echo(f"{'ok ' if part.works else 'BAD'}  {part.name:<{width}}  {part.detail}")
    raise typer.Exit(0 if seen.works else 1)


def doctor(name: Name = DEFAULT) -> None:
    """Check what a lab needs of this machine; exit code 3 when something is missing."""
    from labctl.lab import doctor as lab_doctor

    checks = lab_doctor.doctor(name)
    width = max(len(c.name) for c in checks)
    for check in checks:
        hint = f": {check.hint}" if check.hint else ""
        typer.echo(f"{check.verdict:<8}{check.name:<{width}}  {check.detail}{hint}")
    raise typer.Exit(3 if any(c.verdict == "failed" for c in checks) else 0)


def down(
    name: Name = DEFAULT,
    images: Annotated[
        bool, typer.Option("--images", help="Also the images built for labs, unless there are other labs.")
    ] = False,
) -> None:
    """Remove everything of a lab and only that; lists what it removed and checks that nothing is left."""
    from labctl.cli.progress import reporter
    from labctl.lab import down as lab_down

    removed = lab_down.down(name, reporter(), images=images)
    for container in removed.found.containers:
        typer.echo(f"removed container {container.name}")
    for network in removed.found.networks:
        typer.echo(f"removed network {network}")
    for volume in removed.found.volumes:
        typer.echo(f"removed volume {volume}")
    for image in removed.images:
        typer.echo(f"removed image {image}")
    typer.echo(f'Nothing of lab "{name}" is left ({removed.seconds:.1f} s).')
