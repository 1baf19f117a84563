"""A queue of keys for reconcilers, after client-go's workqueue.

A key that is waiting is not added twice; a key that is being worked on and added again is worked on once more afterwards, so
one key never has two workers. Failed keys come back after a growing pause.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from labctl.errors import LabctlError

K = TypeVar("K", bound=Hashable)

_LOG = logging.getLogger(__name__)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.005, 60.0


class WorkQueue(Generic[K]):
    """Keys to be reconciled. `add` may be called from any callback of the event loop."""

    def __init__(self) -> None:
        self._waiting: dict[K, None] = {}
        self._running: set[K] = set()
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._wake = asyncio.Event()

    def add(self, key: K) -> None:
        """Ask for a key to be reconciled."""
        if key in self._running:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting[key] = None
            self._wake.set()

    def add_after(self, key: K, seconds: float) -> None:
        """Ask for a key later; the earlier of two requests counts."""
        loop = asyncio.get_running_loop()
        known = self._timers.get(key)
        when = loop.time() + max(seconds, 0)
        if known is not None and not known.cancelled() and known.when() <= when:
            return
        if known is not None:
            known.cancel()
        self._timers[key] = loop.call_at(when, self._due, key)

    async def run(self, reconcile: Callable[[K], Awaitable[None]], *, workers: int = 4) -> None:
        """Reconcile keys until cancelled. An exception of one key is logged and the key tried again later."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(workers):
                tasks.create_task(self._work(reconcile), name=f"worker {number}")

    async def _work(self, reconcile: Callable[[K], Awaitable[None]]) -> None:
        while True:
            key = await self._next()
            try:
                await reconcile(key)
            except Exception as error:
                self._failed(key, error)
            else:
                self._failures.pop(key, None)
            finally:
                self._done(key)

    async def _next(self) -> K:
        while not self._waiting:
            self._wake.clear()
            await self._wake.wait()
        key = next(iter(self._waiting))
        del self._waiting[key]
        self._running.add(key)
        return key

    def _done(self, key: K) -> None:
        self._running.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _failed(self, key: K, error: Exception) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        pause = min(_FIRST_PAUSE_S * 2 ** (failures - 1), _LONGEST_PAUSE_S)
        level = logging.DEBUG if failures < 4 else logging.WARNING  # conflicts are the normal case
        is_bug = failures == 4 and not isinstance(error, LabctlError | OSError)
        _LOG.log(level, "%s: %s: trying again in %.3f s", key, error, pause, exc_info=is_bug)
        self.add_after(key, pause)

    def _due(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)
