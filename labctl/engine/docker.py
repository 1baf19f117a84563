"""DockerEngine: the docker SDK's low-level client behind the Engine Protocol.

The SDK blocks, so calls run in two small thread pools: a quick one, and one for calls that wait for a registry or for
a process to end (a pod with a long grace period must not hold up the start of another). The SDK is imported with the
first call: it and `requests` cost 12 MB and a third of a second.

The API version is the engine's own, at most 1.44: nothing here needs more than 1.41 (Docker 20.10), and Docker 29
accepts nothing below 1.44.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from labctl.engine import docker_errors, docker_spec, docker_streams
from labctl.engine.errors import EngineError, EngineUnreachable, ImageUnavailable, NoSuchContainer
from labctl.engine.protocol import ContainerSpec, ContainerState, EngineEvent, EngineInfo, ExecStream, ImageInfo

if TYPE_CHECKING:
    from docker import APIClient

_T = TypeVar("_T")

MAX_API_VERSION = (1, 44)
QUICK_THREADS = 8
WAITING_THREADS = 32
_TIMEOUT_S = 120
_PULL_TIMEOUT_S = 600
_EVENTS = ["start", "die", "destroy", "oom"]


class DockerEngine:
    """The engine at `base_url` (default: DOCKER_HOST, or the usual socket)."""

    def __init__(self, base_url: str = "") -> None:
        self._base_url = base_url
        self._quick = ThreadPoolExecutor(QUICK_THREADS, "engine")
        self._waiting = ThreadPoolExecutor(WAITING_THREADS, "engine-wait")
        self._connecting = threading.Lock()
        self._connected: APIClient | None = None
        self._volume_paths: dict[str, str] = {}

    def _client(self) -> APIClient:
        with self._connecting:
            if self._connected is None:
                self._connected = _connect(self._base_url)
            return self._connected

    # The SDK is called as Any: its stubs leave half of what is used here untyped.
    async def _run(self, pool: ThreadPoolExecutor, call: Callable[[Any], _T]) -> _T:
        def in_thread() -> _T:
            with docker_errors.translated():
                return call(self._client())

        return await asyncio.get_running_loop().run_in_executor(pool, in_thread)

    async def _call(self, call: Callable[[Any], _T]) -> _T:
        return await self._run(self._quick, call)

    async def info(self) -> EngineInfo:
        """What machine and engine this is."""
        found = await self._call(lambda c: c.info())
        return EngineInfo(
            cpus=found.get("NCPU") or 1,
            memory_bytes=found.get("MemTotal") or 0,
            kernel=found.get("KernelVersion") or "",
            operating_system=found.get("OperatingSystem") or "",
            architecture={"x86_64": "amd64", "aarch64": "arm64"}.get(found.get("Architecture", ""), "amd64"),
            version=found.get("ServerVersion") or "",
        )

    async def pull(self, image: str) -> None:
        """Fetch an image."""

        def pull(client: Any) -> None:
            for line in client.pull(image, tag=None if _has_tag(image) else "latest", stream=True, decode=True):
                if "error" in line:
                    raise ImageUnavailable(image, str(line["error"]))

        with docker_errors.as_image_unavailable(image):
            await self._run(self._waiting, pull)

    async def image(self, image: str) -> ImageInfo | None:
        """A local image, or None."""
        try:
            found = await self._call(lambda c: c.inspect_image(image))
        except NoSuchContainer:
            return None
        user = (found.get("Config") or {}).get("User") or ""
        return ImageInfo(found["Id"], user, found.get("Size") or 0, bool(found.get("RepoDigests")))

    async def create(self, spec: ContainerSpec) -> str:
        """Create a container; returns its id."""

        def create(client: Any) -> str:
            body = docker_spec.create_body(spec, functools.partial(self._volume_path, client))
            return str(client.create_container_from_config(body, spec.name or None)["Id"])

        return await self._call(create)

    def _volume_path(self, client: Any, volume: str) -> str:
        if volume not in self._volume_paths:
            self._volume_paths[volume] = client.inspect_volume(volume)["Mountpoint"]
        return self._volume_paths[volume]

    async def start(self, container_id: str) -> None:
        """Start it."""
        await self._call(lambda c: c.start(container_id))

    async def stop(self, container_id: str, *, grace_s: float) -> None:
        """SIGTERM, then SIGKILL after `grace_s`."""
        with suppress(NoSuchContainer):
            await self._run(self._waiting, lambda c: c.stop(container_id, timeout=round(grace_s)))

    async def kill(self, container_id: str, *, signal: str = "KILL") -> None:
        """Send a signal."""
        await self._call(lambda c: c.kill(container_id, signal))

    async def remove(self, container_id: str, *, force: bool = True) -> None:
        """Remove it with its anonymous volumes."""
        with suppress(NoSuchContainer):
            await self._run(self._waiting, lambda c: c.remove_container(container_id, v=True, force=force))

    async def inspect(self, container_id: str) -> ContainerState | None:
        """State, or None when it does not exist."""
        try:
            return _state(await self._call(lambda c: c.inspect_container(container_id)))
        except NoSuchContainer:
            return None

    async def list(self, labels: Mapping[str, str]) -> Sequence[ContainerState]:
        """All containers, running or not, that carry these labels."""
        filters = {"label": _label_filter(labels)}
        found = await self._call(lambda c: c.containers(all=True, filters=filters))
        states = await asyncio.gather(*(self.inspect(item["Id"]) for item in found))
        return [state for state in states if state is not None]

    async def events(self, labels: Mapping[str, str], *, since: float | None = None) -> AsyncIterator[EngineEvent]:
        """Follow container events; ends with EngineUnreachable."""
        filters = {"type": "container", "event": _EVENTS, "label": _label_filter(labels)}

        def follow() -> tuple[Iterator[dict[str, Any]], Callable[[], None]]:
            with docker_errors.translated():
                client: Any = self._client()
                stream = client.events(since=since, filters=filters, decode=True)
                return stream, stream.close

        async for event in docker_streams.ThreadedStream(follow, "engine-events").items():
            yield _event(event)
        raise EngineUnreachable("the container engine closed its event stream")

    async def exec(
        self,
        container_id: str,
        command: Sequence[str],
        *,
        stdin: bool = False,
        tty: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> ExecStream:
        """Run a command inside a container."""
        environment = [f"{name}={value}" for name, value in (env or {}).items()]

        def start(client: Any) -> tuple[str, Any]:
            made = client.exec_create(
                container_id, list(command), stdin=stdin, tty=tty, environment=environment or None
            )["Id"]
            return made, client.exec_start(made, tty=tty, socket=True)

        exec_id, raw = await self._call(start)
        reader, writer = await docker_streams.adopt_socket(raw)

        async def exit_code() -> int:
            return int((await self._call(lambda c: c.exec_inspect(exec_id))).get("ExitCode") or 0)

        async def resize(width: int, height: int) -> None:
            await self._call(lambda c: c.exec_resize(exec_id, height=height, width=width))

        return docker_streams.HijackedStream(reader, writer, tty=tty, exit_code=exit_code, resize=resize)

    async def attach(self, container_id: str, *, stdin: bool = False, tty: bool = False) -> ExecStream:
        """Attach to the main process."""
        params = {"stdin": int(stdin), "stdout": 1, "stderr": 1, "stream": 1}
        raw = await self._call(lambda c: c.attach_socket(container_id, params))
        reader, writer = await docker_streams.adopt_socket(raw)
        # Docker attaches to a container that has ended, too, and waits for its next start.
        if (state := await self.inspect(container_id)) is None or state.status != "running":
            writer.close()
            raise EngineError(f"container is in CONTAINER_{'EXITED' if state else 'UNKNOWN'} state")

        async def exit_code() -> int:
            state = await self.inspect(container_id)
            return state.exit_code if state else 0

        async def resize(width: int, height: int) -> None:
            await self._call(lambda c: c.resize(container_id, height, width))

        return docker_streams.HijackedStream(reader, writer, tty=tty, exit_code=exit_code, resize=resize)

    async def logs(
        self,
        container_id: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
        timestamps: bool = False,
    ) -> AsyncIterator[tuple[docker_streams.Tag, bytes]]:
        """Log chunks. The SDK's own `logs` mixes stdout and stderr, so its answer is read here."""
        params: dict[str, Any] = {"stdout": 1, "stderr": 1, "follow": int(follow), "timestamps": int(timestamps)}
        params |= {"tail": "all" if tail is None else tail} | ({} if since is None else {"since": f"{since:.9f}"})
        is_tty = bool((await self._call(lambda c: c.inspect_container(container_id)))["Config"]["Tty"])

        def read() -> tuple[Iterator[bytes], Callable[[], None]]:
            with docker_errors.translated():
                client = self._client()
                url = f"{client.base_url}/v{client.api_version}/containers/{container_id}/logs"
                response = client.get(url, params=params, stream=True, timeout=None)
                response.raise_for_status()
                return response.iter_content(None), docker_streams.breaker(response)

        splitter = docker_streams.FrameSplitter(tty=is_tty)
        async for data in docker_streams.ThreadedStream(read, f"logs-{container_id[:12]}").items():
            for piece in splitter.feed(data):
                yield piece

    async def port_holder(self, port: int, protocol: str) -> str | None:
        """Name of the container that publishes a host port, or None."""
        for container in await self._call(lambda c: c.containers()):
            if any(p.get("PublicPort") == port and p.get("Type") == protocol for p in container.get("Ports") or ()):
                return str(container["Names"][0]).lstrip("/")
        return None

    async def put_archive(self, container_id: str, path: str, tar: bytes) -> None:
        """Unpack a tar archive inside a container."""
        await self._call(lambda c: c.put_archive(container_id, path, tar))

    async def list_volumes(self, labels: Mapping[str, str]) -> Sequence[str]:
        """Names of the volumes that carry these labels."""
        found = await self._call(lambda c: c.volumes(filters={"label": _label_filter(labels)}))
        return [volume["Name"] for volume in found.get("Volumes") or []]

    async def remove_volume(self, name: str) -> None:
        """Remove a volume."""
        self._volume_paths.pop(name, None)
        with suppress(NoSuchContainer):
            await self._call(lambda c: c.remove_volume(name))

    async def close(self) -> None:
        """Release sockets and threads; calls that still wait are given up."""
        for pool in (self._quick, self._waiting):
            pool.shutdown(wait=False, cancel_futures=True)
        if self._connected is not None:
            self._connected.close()


def _connect(base_url: str) -> APIClient:
    # docker.api.client rather than docker: the high-level models are not needed.
    from docker.api.client import APIClient
    from docker.utils import kwargs_from_env

    options: dict[str, Any] = {"timeout": _TIMEOUT_S, "max_pool_size": QUICK_THREADS + 2}
    options |= {"base_url": base_url} if base_url else dict(kwargs_from_env())
    client = APIClient(version="1.41", **options)
    offered = client.version(api_version=False)["ApiVersion"]
    version = min(tuple(int(part) for part in offered.split(".")), MAX_API_VERSION)
    if version == (1, 41):
        return client
    client.close()
    return APIClient(version=".".join(map(str, version)), **options)


def _has_tag(image: str) -> bool:
    return "@" in image or ":" in image.rpartition("/")[2]


def _label_filter(labels: Mapping[str, str]) -> list[str]:
    return [f"{key}={value}" for key, value in labels.items()]


def _state(found: Mapping[str, Any]) -> ContainerState:
    state, config = found["State"], found["Config"]
    networks = found["NetworkSettings"].get("Networks") or {}
    return ContainerState(
        id=found["Id"],
        name=found["Name"].lstrip("/"),
        image=config["Image"],
        image_id=found["Image"],
        labels=config.get("Labels") or {},
        status=state["Status"],
        exit_code=state.get("ExitCode") or 0,
        oom_killed=bool(state.get("OOMKilled")),
        error=state.get("Error") or "",
        started_at=_time(state.get("StartedAt")),
        finished_at=_time(state.get("FinishedAt")),
        addresses={name: n.get("IPAddress") or _wanted_address(n) for name, n in networks.items()},
        pid=state.get("Pid") or 0,
    )


def _wanted_address(network: Mapping[str, Any]) -> str:
    return str((network.get("IPAMConfig") or {}).get("IPv4Address") or "")


def _time(text: str | None) -> str:
    return "" if not text or text.startswith("0001-") else text


def _event(event: Mapping[str, Any]) -> EngineEvent:
    actor = event["Actor"]
    labels = dict(actor["Attributes"])
    code = labels.pop("exitCode", None)
    return EngineEvent(
        action=event["Action"],
        container_id=actor["ID"],
        labels=labels,
        exit_code=None if code is None else int(code),
        time=event["timeNano"] / 1e9,
    )
