"""Keeping the kernel's rules equal to the wanted ones.

The first sync writes everything and removes what an earlier agent left; later ones write only what changed, in one atomic
transaction. After a failure the next one is full again (as kube-proxy does). Every second the packet filter's generation tells
whether somebody else changed it; then the rules are looked at, and written anew if any is missing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Protocol

from labctl.api.objects import ObjectKey
from labctl.proxy import conntrack, generation
from labctl.proxy.model import NodeView, ServicePort
from labctl.proxy.runner import CommandFailed, Runner
from labctl.proxy.tracker import Tracker

_LOG = logging.getLogger(__name__)
_RETRY_S, _CHECK_S = 1.0, 1.0
# More changed Services than this are written faster by a full sync.
MANY_CHANGES = 1000
# Above this many Services, looking whether all rules are there takes longer than writing them.
MANY_SERVICES = 1000


class Backend(Protocol):
    """A packet filter of this network namespace. All methods raise CommandFailed; then nothing is half written."""

    @property
    def name(self) -> str:
        """The proxy mode: iptables or nftables."""
        ...

    async def full(self, ports: Iterable[ServicePort], view: NodeView) -> None:
        """Write everything anew, and remove what earlier Services left."""
        ...

    async def update(self, old: Iterable[ServicePort], new: Iterable[ServicePort], view: NodeView) -> bool:
        """Write the difference between two states of some Services; False when only a full sync will do."""
        ...

    async def intact(self, ports: Iterable[ServicePort], view: NodeView) -> bool:
        """Whether every rule that was written is there."""
        ...

    async def tidy(self) -> None:
        """Called once a second: delete what could not be deleted with the last change."""
        ...

    async def remove(self) -> None:
        """Take every rule of this backend away."""
        ...


class Syncer:
    """One packet filter, brought up to date whenever `notify` was called."""

    def __init__(
        self,
        tracker: Tracker,
        backend: Backend,
        run: Runner,
        *,
        current_generation: Callable[[], int] = generation.current,
        on_foreign_change: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_foreign_change` is called when somebody else changed the packet filter, whatever it was."""
        self._on_foreign_change = on_foreign_change
        self._tracker = tracker
        self._backend = backend
        self._run = run
        self._current_generation = current_generation
        self._generation = 0
        self._suspect = False  # somebody else changed the packet filter since the rules were last known to be whole
        self._left: list[Backend] = []
        self._standing = ""
        self._dirty = asyncio.Event()
        self._programmed: dict[ObjectKey, tuple[ServicePort, ...]] | None = None
        self._view = tracker.view
        self.last_error = ""

    def notify(self) -> None:
        """Something has changed: sync as soon as the loop is free. Changes that come together make one sync."""
        self._dirty.set()

    @property
    def mode(self) -> str:
        """The proxy mode whose rules stand; empty before the first sync."""
        return self._standing

    def use(self, backend: Backend) -> None:
        """Write all rules by another backend; those of the present one go only after the others stand."""
        if backend.name == self._backend.name:
            return
        self._left = [b for b in (*self._left, self._backend) if b.name != backend.name]
        self._backend = backend
        self._programmed = None
        self.notify()

    async def beside(self, write: Callable[[], Awaitable[object]]) -> None:
        """Let others of this agent write rules of their own, so that their change is not taken for a stranger's."""
        self._look()
        try:
            await write()
        finally:
            self._look(ours=True)

    async def run(self) -> None:
        """Sync until cancelled."""
        while True:
            try:
                async with asyncio.timeout(_CHECK_S):
                    await self._dirty.wait()
            except TimeoutError:
                await self.check()
                continue
            self._dirty.clear()
            await self._attempt()

    async def _attempt(self) -> None:
        try:
            await self.sync()
            self.last_error = ""
        except CommandFailed as error:
            self._programmed = None
            self.last_error = str(error)
            _LOG.error("rules could not be written, trying again as a full sync: %s", error)
            await asyncio.sleep(_RETRY_S)
            self._dirty.set()

    async def sync(self) -> None:
        """One sync. Raises CommandFailed; the next one has to be full then."""
        self._look()
        changed, view, programmed = self._tracker.take_changed(), self._tracker.view, self._programmed
        if programmed is None or view != self._view or len(changed) > MANY_CHANGES:
            written = False
        else:
            written = await self._update(programmed, changed, view)
        if not written:
            await self._full(view)
            self._suspect = False
        self._look(ours=True)

    async def _full(self, view: NodeView) -> None:
        written: dict[ObjectKey, tuple[ServicePort, ...]] = {}

        def ports() -> Iterator[ServicePort]:
            for key, listed in self._tracker.all():
                written[key] = listed
                yield from listed

        self._programmed = None
        backend = self._backend
        await backend.full(ports(), view)
        if backend is not self._backend:
            return  # switched meanwhile: the next sync is full, and removes this backend when its own rules stand
        while self._left:
            await self._left[-1].remove()
            self._left.pop()
        self._standing = backend.name
        self._programmed, self._view = written, view
        await conntrack.forget_stale(self._run, (p for listed in written.values() for p in listed))

    async def _update(
        self, programmed: dict[ObjectKey, tuple[ServicePort, ...]], changed: set[ObjectKey], view: NodeView
    ) -> bool:
        now = {key: self._tracker.ports(key) for key in sorted(changed)}
        different = {key: ports for key, ports in now.items() if ports != programmed.get(key, ())}
        if not different:
            return True
        old = [p for key in different for p in programmed.get(key, ())]
        new = [p for ports in different.values() for p in ports]
        if not await self._backend.update(old, new, view):
            return False
        for key, ports in different.items():
            if ports:
                programmed[key] = ports
            else:
                programmed.pop(key, None)
        await conntrack.forget_stale(self._run, new)
        return True

    def _look(self, *, ours: bool = False) -> None:
        """Note the packet filter's generation; a new one makes the rules suspect unless the change was `ours`."""
        try:
            now = self._current_generation()
        except OSError as error:
            _LOG.warning("the generation of the packet filter is unknown: %s", error)
            return
        self._suspect = self._suspect or (not ours and now != self._generation)
        self._generation = now

    async def check(self) -> None:
        """Somebody flushed or deleted our chains: write them anew."""
        programmed = self._programmed
        if programmed is None:
            return
        self._look()
        if self._suspect:
            self._on_foreign_change()
        try:
            if not self._suspect or await self._intact(programmed):
                self._suspect = False
                await self._backend.tidy()
                self._look(ours=True)
                return
        except CommandFailed as error:
            _LOG.warning("cannot look at the rules: %s", error)
        _LOG.warning("the rules were changed by somebody else: writing them anew")
        self._programmed = None
        self.notify()

    async def _intact(self, programmed: dict[ObjectKey, tuple[ServicePort, ...]]) -> bool:
        if len(programmed) > MANY_SERVICES:
            return False
        return await self._backend.intact((p for ports in programmed.values() for p in ports), self._view)
