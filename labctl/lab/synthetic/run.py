"""The whole measurement: fill, measure, fill more, and leave the lab as it was."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from labctl.client import kubeconfig
from labctl.errors import LabctlError
from labctl.lab import engine, proxy_mode, record
from labctl.lab.paths import checked_name, command, context_of
from labctl.lab.progress import Report, step
from labctl.lab.record import Record
from labctl.lab.synthetic import fill, objects
from labctl.lab.synthetic.measure import Figures, Prober
from labctl.proxy.mode import Mode


async def measured(name: str, services: int, modes: Sequence[Mode], report: Report) -> AsyncGenerator[Figures]:
    """Figures of a lab at each size, in each mode. Raises LabctlError; whatever happens, nothing synthetic stays."""
    lab = record.load(checked_name(name))
    if lab is None:
        raise LabctlError(f'lab "{name}" does not exist', hint=f"'{command('up', name)}' starts it")
    client, before, filled = engine.connect(), _mode_of(lab), 0
    api = kubeconfig.load(context_of(name)).api()
    prober = Prober(client, lab, api)
    try:
        with step(report, "namespace") as say:
            await fill.make_namespace(api, say)
        for size in objects.sizes(services):
            with step(report, f"{size} Services") as say:
                await fill.fill(api, range(filled, size), lab.config.pod_cidr, say)
            filled = size
            for mode in modes:
                yield await prober.figures(size, mode)
    finally:
        with step(report, "cleaning up") as say:
            proxy_mode.ensure(lab, before)
            await fill.remove(api, say)
            await api.close()


def _mode_of(lab: Record) -> Mode:
    return "nftables" if proxy_mode.present(lab) == "nftables" else "iptables"
