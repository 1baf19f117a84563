"""Images for containers: present, pulled, or a stand-in.

Pull policies are Kubernetes'. Three things differ, because a lab often has no registry within reach:
an image that was built here and never came from a registry is not pulled again under policy Always; when no registry
answers, a copy that is present is used; and an image with a stand-in (config.stand_ins) is replaced by it, but only
after its pull failed. An Event tells each time. Failed pulls are remembered for a minute, so that a registry that
does not answer makes one pod wait, not all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from labctl.api.objects import Object
from labctl.api.times import Clock
from labctl.engine.errors import EngineError, ImageUnavailable
from labctl.engine.protocol import Engine, ImageInfo
from labctl.kubelet.recorder import PodEvents
from labctl.kubelet.restarts import Backoff

FAILURE_KEPT_S = 60.0


class ImageError(Exception):
    """The container must wait for its image: `reason` is ErrImagePull, ImagePullBackOff or ErrImageNeverPull."""

    def __init__(self, reason: str, message: str, *, retry_s: float) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retry_s = retry_s


@dataclass(frozen=True, slots=True)
class Resolved:
    """The image a container runs from."""

    name: str
    info: ImageInfo


def default_tag(image: str) -> str:
    """`name` -> `name:latest`."""
    return image if "@" in image or ":" in image.rpartition("/")[2] else f"{image}:latest"


def registry_of(image: str) -> str:
    """The registry that an image comes from."""
    first, slash, _ = image.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else "docker.io"


class Images:
    """The image manager of all nodes: they share one engine."""

    def __init__(self, engine: Engine, stand_ins: Mapping[str, str], clock: Clock) -> None:
        self._engine = engine
        self._stand_ins = {default_tag(image).removeprefix("docker.io/"): s for image, s in stand_ins.items()}
        self._clock = clock
        self._backoff = Backoff()
        self._failures: dict[str, tuple[float, ImageUnavailable]] = {}  # image or registry -> when and why
        self._pulls: dict[str, asyncio.Future[None]] = {}
        self._last_message: dict[str, str] = {}
        self._failed_at: dict[str, float] = {}

    async def ensure(self, pod: Object, container: Object, events: PodEvents) -> Resolved:
        """The image of a container. Raises ImageError when the container has to wait."""
        image, policy = container["image"], container.get("imagePullPolicy") or "IfNotPresent"
        present = await self._engine.image(image)
        if present is not None and (policy != "Always" or not present.is_from_registry):
            self._say_present(events, container)
            return Resolved(image, present)
        if policy == "Never":
            message = f'Container image "{image}" is not present with pull policy of Never'
            events.warning("ErrImageNeverPull", message, container=container["name"])
            raise ImageError("ErrImageNeverPull", message, retry_s=FAILURE_KEPT_S)
        return await self._pulled(pod, container, present, events)

    def forget(self, uid: str) -> None:
        """Drop what is kept for a pod."""
        self._backoff.forget(f"{uid}_")
        for key in [k for k in self._failed_at if k.startswith(f"{uid}_")]:
            del self._failed_at[key], self._last_message[key]

    def _say_present(self, events: PodEvents, container: Object) -> None:
        text = f'Container image "{container["image"]}" already present on machine and can be accessed by the pod'
        events.normal("Pulled", text, container=container["name"])

    async def _pulled(self, pod: Object, container: Object, present: ImageInfo | None, events: PodEvents) -> Resolved:
        image, name = container["image"], container["name"]
        key = f"{pod['metadata']['uid']}_{image}"
        self._check_backoff(key, image, name, events)
        events.normal("Pulling", f'Pulling image "{image}"', container=name)
        started = self._clock()
        try:
            await self._pull_once(image)
        except ImageUnavailable as error:
            return await self._replacement(key, container, present, error, events)
        info = await self._engine.image(image)
        if info is None:
            raise ImageError("ErrImagePull", f'image "{image}" vanished after its pull', retry_s=1.0)
        took = f"{self._clock() - started:.3g}s"
        text = f'Successfully pulled image "{image}" in {took} ({took} including waiting).'
        events.normal("Pulled", f"{text} Image size: {info.size_bytes} bytes.", container=name)
        return Resolved(image, info)

    def _check_backoff(self, key: str, image: str, name: str, events: PodEvents) -> None:
        wait = self._backoff.wait_s(key, since=self._failed_at.get(key, 0.0), now=self._clock())
        if wait > 0:
            message = f'Back-off pulling image "{image}"'
            events.normal("BackOff", message, container=name)
            last = self._last_message.get(key)
            raise ImageError("ImagePullBackOff", f"{message}: ErrImagePull: {last}" if last else message, retry_s=wait)

    async def _replacement(
        self, key: str, container: Object, present: ImageInfo | None, error: ImageUnavailable, events: PodEvents
    ) -> Resolved:
        image, name = container["image"], container["name"]
        events.warning("Failed", f'Failed to pull image "{image}": {error.text}', container=name)
        if present is not None and error.is_unreachable:
            text = f'Container image "{image}" is already present on machine; its registry does not answer'
            events.normal("Pulled", text, container=name)
            return Resolved(image, present)
        stand_in = self._stand_ins.get(default_tag(image).removeprefix("docker.io/"))
        if stand_in and (info := await self._engine.image(stand_in)) is not None:
            text = f'Image "{image}" cannot be pulled: using labctl\'s stand-in "{stand_in}" instead'
            events.warning("StandIn", text, container=name)
            return Resolved(stand_in, info)
        events.warning("Failed", "Error: ErrImagePull", container=name)
        self._backoff.grow(key, now=self._clock())
        self._failed_at[key], self._last_message[key] = self._clock(), error.text
        raise ImageError("ErrImagePull", error.text, retry_s=0.0)

    async def _pull_once(self, image: str) -> None:
        """Pull, or join a pull that is under way, or fail at once when that failed a moment ago."""
        for remembered in (default_tag(image), registry_of(image)):
            when, error = self._failures.get(remembered, (0.0, None))
            if error is not None and self._clock() - when < FAILURE_KEPT_S:
                raise ImageUnavailable(image, error.text, is_unreachable=error.is_unreachable)
        running = self._pulls.get(image)
        if running is not None:
            return await asyncio.shield(running)
        running = self._pulls[image] = asyncio.get_running_loop().create_future()
        try:
            await self._engine.pull(image)
        except ImageUnavailable as error:
            self._failures[registry_of(image) if error.is_unreachable else default_tag(image)] = (self._clock(), error)
            self._settle(image, running, error)
            raise
        except (EngineError, asyncio.CancelledError):
            self._settle(image, running, ImageUnavailable(image, "the pull was given up"))
            raise
        self._settle(image, running, None)
        return None

    def _settle(self, image: str, running: asyncio.Future[None], error: ImageUnavailable | None) -> None:
        self._pulls.pop(image, None)
        if error is None:
            running.set_result(None)
        else:
            running.set_exception(error)
            running.exception()  # seen: nobody need have joined
