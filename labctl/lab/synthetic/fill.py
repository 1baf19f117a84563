"""Creating synthetic Services through the API, several at a time, and removing them again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from labctl.api import kinds
from labctl.api.status import ApiError
from labctl.client.http import HttpApi
from labctl.client.paths import path_of
from labctl.errors import LabctlError
from labctl.lab.progress import Say
from labctl.lab.synthetic import objects

_AT_A_TIME = 8
_TELL_EVERY = 250
_GONE_S, _PAUSE_S = 300.0, 0.25


async def make_namespace(api: HttpApi, say: Say) -> None:
    """The namespace of everything synthetic, empty, whatever an earlier run has left."""
    await remove(api, say)
    await api.create(kinds.NAMESPACE, {"metadata": {"name": objects.NAMESPACE}})


async def fill(api: HttpApi, numbers: Iterable[int], pod_cidr: str, say: Say) -> None:
    """Create the Services of these numbers."""

    async def one(number: int) -> None:
        name = objects.name_of(number)
        await api.create(kinds.SERVICE, objects.service(name))
        addresses = objects.addresses_of(number, pod_cidr)
        await api.create(kinds.ENDPOINT_SLICE, objects.endpoint_slice(name, addresses, port=80))
        if number % _TELL_EVERY == 0:
            say(f"{number} Services")

    await _together(one, numbers)


async def _together(work: Callable[[int], Awaitable[None]], numbers: Iterable[int]) -> None:
    left = iter(numbers)

    async def worker() -> None:
        for number in left:
            await work(number)

    async with asyncio.TaskGroup() as workers:
        for _ in range(_AT_A_TIME):
            workers.create_task(worker(), name="fill")


async def remove(api: HttpApi, say: Say) -> None:
    """Remove the namespace with everything in it; nothing to do when there is none."""
    for kind in (kinds.SERVICE, kinds.ENDPOINT_SLICE):
        with suppress(ApiError):
            await api.request("DELETE", path_of(kind, objects.NAMESPACE))
    try:
        await api.delete(kinds.NAMESPACE, "", objects.NAMESPACE)
    except ApiError as error:
        if error.code == 404:
            return
        if error.code != 409:  # it is being removed already
            raise
    say("waiting for its end")
    async with asyncio.timeout(_GONE_S):
        while await _exists(api):  # noqa: ASYNC110  # what is waited for is in another process
            await asyncio.sleep(_PAUSE_S)


async def _exists(api: HttpApi) -> bool:
    try:
        await api.get(kinds.NAMESPACE, "", objects.NAMESPACE)
    except ApiError as error:
        if error.code == 404:
            return False
        raise LabctlError(f"the namespace {objects.NAMESPACE} cannot be read: {error}") from error
    return True
