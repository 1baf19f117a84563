"""Starting a pod: its sandbox, its volumes and its containers.

The engine needs about 0.13 s to start a container, so what can overlap does: images are looked up and containers
created while the sandbox starts; only their own start waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from labctl.api import kinds
from labctl.api.objects import Object
from labctl.api.status import ApiError
from labctl.engine.errors import AddressInUse, EngineError, NameInUse, NoSuchContainer, StartFailed
from labctl.engine.protocol import ContainerSpec, Mount
from labctl.kubelet import admission, environment, etc, hooks, naming, specs, volumes
from labctl.kubelet.environment import ConfigError
from labctl.kubelet.images import ImageError
from labctl.kubelet.instances import Instance
from labctl.kubelet.pod_state import PodState
from labctl.kubelet.pod_status import Waiting
from labctl.kubelet.specs import Addresses, Place
from labctl.kubelet.volumes import EmptyDir, MountError

CREATING, INITIALIZING = "ContainerCreating", "PodInitializing"
START_ERROR = 128  # the exit code containerd gives to a container whose process could not be started
_TOKEN_RENEWAL = 0.8  # of a token's life, as the kubelet has it


class SandboxError(Exception):
    """The sandbox could not be made; an Event tells why."""


class Gate:
    """Tells containers that are being prepared about the sandbox: first its id, then that it runs."""

    def __init__(self, sandbox: str = "") -> None:
        self.created: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.running = asyncio.Event()
        if sandbox:
            self.created.set_result(sandbox)
            self.running.set()


class Launcher:
    """Starts the sandbox and containers of one pod."""

    def __init__(self, state: PodState) -> None:
        self._state = state
        self._kit = state.kit
        self._memory: list[Mount] = []

    async def prepare_files(self) -> None:
        """Write the pod's volumes, hosts and resolv.conf. Raises MountError."""
        state, kit = self._state, self._kit
        config = kit.config
        if state.pod["spec"].get("hostNetwork"):
            hosts = etc.render_host_network_hosts(state.pod, _read("/etc/hosts"))
        else:
            hosts = etc.render_hosts(state.pod, state.pod_ips, config.cluster_domain)
        resolver = etc.resolver_of(
            state.pod,
            dns_address=config.dns_address,
            cluster_domain=config.cluster_domain,
            node=etc.parse_resolv_conf(_read("/etc/resolv.conf")),
        )
        state.directory.write_etc(hosts=hosts, resolv_conf=etc.render_resolv_conf(resolver))
        await self.write_volumes()

    async def write_volumes(self) -> None:
        """Write or update all volumes. Raises MountError with the volume's name in its text."""
        state = self._state
        tokens = await self._tokens()
        sources = volumes.Sources(self._kit.lookup, lambda audience, expiry: tokens[audience, expiry], state.identity)
        group = (state.pod["spec"].get("securityContext") or {}).get("fsGroup")
        self._memory = []
        for volume in state.pod["spec"].get("volumes") or ():
            try:
                content = volumes.contents(state.pod, volume, sources)
                if isinstance(content, EmptyDir) and content.in_memory:
                    self._memory.append(self._memory_mount(volume["name"], content, f"/volumes/{volume['name']}"))
                else:
                    state.directory.write_volume(volume["name"], content, group=group)
            except (MountError, ValueError, OSError) as error:
                raise MountError(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}') from error

    async def _tokens(self) -> dict[tuple[str, int], str]:
        """The ServiceAccount tokens that the pod's projected volumes want, by audience and expiry."""
        wanted = {
            (token.get("audience") or "", token.get("expirationSeconds") or 3600)
            for volume in self._state.pod["spec"].get("volumes") or ()
            for source in (volume.get("projected") or {}).get("sources") or ()
            if (token := source.get("serviceAccountToken")) is not None
        }
        if not wanted:
            self._state.volumes_fresh_until = float("inf")
            return {}
        now = self._kit.clock()
        self._state.volumes_fresh_until = now + _TOKEN_RENEWAL * min(expiry for _, expiry in wanted)
        return {(audience, expiry): await self._token(audience, expiry) for audience, expiry in wanted}

    async def _token(self, audience: str, expiry: int) -> str:
        pod = self._state.pod
        reference = {"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "uid": self._state.uid}
        spec: Object = {"audiences": [audience] if audience else [], "expirationSeconds": expiry}
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": spec | {"boundObjectRef": reference},
        }
        account = pod["spec"].get("serviceAccountName") or "default"
        try:
            answer = await self._kit.api.create(
                kinds.SERVICE_ACCOUNT,
                request,
                namespace=pod["metadata"]["namespace"],
                subresource="token",
                name=account,
            )
        except ApiError as error:
            raise MountError(f"failed to fetch token: {error}") from error
        return str(answer["status"]["token"])

    def _memory_mount(self, name: str, content: EmptyDir, target: str) -> Mount:
        return Mount(target, volume=self._memory_volume(name), size_bytes=content.size_bytes, in_memory=True)

    def _memory_volume(self, name: str) -> str:
        return f"{self._kit.config.name}-{self._state.uid}-{name}"

    def memory_volumes(self) -> list[str]:
        """Names of the engine's volumes that exist for this pod alone."""
        return [
            self._memory_volume(volume["name"])
            for volume in self._state.pod["spec"].get("volumes") or ()
            if (volume.get("emptyDir") or {}).get("medium") == "Memory"
        ]

    async def start_sandbox(self, gate: Gate, attempt: int) -> None:
        """Create and start the sandbox with addresses of its own. Raises SandboxError."""
        try:
            await self._start_sandbox(gate, attempt)
        except (EngineError, OSError, ValueError) as error:
            self._state.events.warning("FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}")
            raise SandboxError(str(error)) from error

    async def _start_sandbox(self, gate: Gate, attempt: int) -> None:
        state, kit = self._state, self._kit
        place = await self._place()
        spec = specs.sandbox_spec(state.pod, attempt, state.addresses, place, self._etc_mounts(), self._memory)
        container_id = await self._create(spec)
        state.instances.sandbox = Instance(container_id, naming.SANDBOX, attempt, "created")
        gate.created.set_result(container_id)
        try:
            await kit.engine.start(container_id)
        except AddressInUse:
            # Somebody who is not in our books has the address: it stays marked as taken, the next try gets another.
            state.addresses = Addresses()
            raise
        state.instances.sandbox = Instance(
            container_id, naming.SANDBOX, attempt, "running", started_at=kit.clock(), image=kit.config.lab_image
        )
        gate.running.set()

    def allocate_addresses(self) -> None:
        """Give the pod fresh addresses from its node's range."""
        state, kit = self._state, self._kit
        self.release_addresses()
        if state.pod["spec"].get("hostNetwork"):
            return
        ipv4 = kit.addresses[state.node.name].allocate()
        pool6 = kit.addresses6.get(state.node.name)
        state.addresses = Addresses(ipv4, pool6.allocate() if pool6 is not None else "")

    def release_addresses(self) -> None:
        """Give the pod's addresses back."""
        state, kit = self._state, self._kit
        if state.addresses.ipv4:
            kit.addresses[state.node.name].release(state.addresses.ipv4)
        if state.addresses.ipv6:
            kit.addresses6[state.node.name].release(state.addresses.ipv6)
        state.addresses = Addresses()

    async def _place(self) -> Place:
        spec = self._state.pod["spec"]
        if lacking := admission.lacking(self._state.pod):
            raise EngineError(f"labctl has no {lacking}")
        node_container = ""
        if spec.get("hostNetwork") or spec.get("hostPID"):
            node_container = await self._kit.node_container(self._state.node)
            if not node_container:
                raise EngineError(f"the container of node {self._state.node.name} is not running")
        return Place(self._kit.config, self._state.node, node_container, self._kit.info.memory_bytes)

    def _etc_mounts(self, taken: Sequence[Mount] = ()) -> list[Mount]:
        directory, volume = self._state.directory, self._kit.config.state_volume
        targets = {mount.target for mount in taken}
        files = (("/etc/hosts", "etc-hosts"), ("/etc/resolv.conf", "resolv.conf"))
        return [Mount(t, volume=volume, subpath=directory.subpath(f)) for t, f in files if t not in targets]

    async def _create(self, spec: ContainerSpec) -> str:
        """Create a container. When the pod is given up meanwhile, what the engine still makes is removed again."""
        creating = asyncio.ensure_future(self._create_over(spec))
        try:
            return await asyncio.shield(creating)
        except asyncio.CancelledError:
            with contextlib.suppress(EngineError):
                await self._kit.engine.remove(await creating)
            raise

    async def _create_over(self, spec: ContainerSpec) -> str:
        """Create a container; one of the same name can only be a leftover of an interrupted start."""
        try:
            return await self._kit.engine.create(spec)
        except NameInUse as error:
            await self._kit.engine.remove(error.holder or spec.name)
            return await self._kit.engine.create(spec)

    async def launch(self, container: Object, gate: Gate) -> None:
        """Create and start one container; why it has to wait, if so, stands in the pod's state afterwards."""
        name, state = container["name"], self._state
        try:
            await self._launch(container, gate)
        except ImageError as error:
            state.waiting[name] = Waiting(error.reason, error.message)
        except ConfigError as error:
            self._cannot(name, "CreateContainerConfigError", str(error))
        except MountError as error:
            self._cannot(name, "CreateContainerConfigError", str(error))
        except hooks.HookFailed as error:
            state.waiting[name] = Waiting("PostStartHookError", error.message)
        except StartFailed as error:
            state.waiting[name] = Waiting("RunContainerError", error.text)
        except EngineError as error:
            self._cannot(name, "CreateContainerError", f"{error}")
        else:
            state.waiting.pop(name, None)

    def _cannot(self, name: str, reason: str, message: str) -> None:
        self._state.events.warning("Failed", f"Error: {message}", container=name)
        self._state.waiting[name] = Waiting(reason, message)

    async def _launch(self, container: Object, gate: Gate) -> None:
        name, state, kit = container["name"], self._state, self._kit
        image = await kit.images.ensure(state.pod, container, state.events)
        attempt = state.next_attempt(name)
        sources = environment.Sources(kit.lookup, state.identity, kit.services())
        env = environment.environment(state.pod, container, sources)
        mounts = self._mounts(container, attempt, env)
        spec = specs.container_spec(
            state.pod,
            container,
            attempt,
            sandbox=await asyncio.shield(gate.created),
            image=image.info,
            image_name=image.name,
            env=env,
            mounts=mounts,
            place=await self._place(),
            pid_of=self._target(container),
        )
        container_id = await self._create(spec)
        created = Instance(container_id, name, attempt, "created", image=image.name, image_id=image.info.id)
        await self._keep(created)
        state.events.normal("Created", "Container created", container=name)
        await gate.running.wait()
        await self._start(container, created)

    def _target(self, container: Object) -> str:
        """The container whose processes an ephemeral container wants to see."""
        target = container.get("targetContainerName")
        current = self._state.instances.current(target) if target else None
        return current.id if current is not None else ""

    async def _keep(self, instance: Instance) -> None:
        """Note a new run and remove the one that nobody asks for any more."""
        if (old := self._state.instances.put(instance)) is not None:
            self._state.directory.forget_termination_log(old.name, old.attempt)
            await self._kit.engine.remove(old.id)

    async def _start(self, container: Object, created: Instance) -> None:
        name, state, now = container["name"], self._state, self._kit.clock
        try:
            await self._kit.engine.start(created.id)
        except NoSuchContainer as error:
            raise EngineError(f"container {name} was removed before it could start") from error
        except StartFailed as error:
            state.events.warning("Failed", f"Error: {error.text}", container=name)
            state.instances.put(
                replace(
                    created,
                    state="exited",
                    finished_at=now(),
                    exit_code=START_ERROR,
                    reason="StartError",
                    message=error.text,
                )
            )
            raise
        current = state.instances.find(created.id)
        if current is not None and current.state == "created":  # else an event was faster
            state.instances.put(replace(created, state="running", started_at=now()))
        state.events.normal("Started", "Container started", container=name)
        if "postStart" in (container.get("lifecycle") or {}):
            await hooks.post_start(state, container, created.id)

    def _mounts(self, container: Object, attempt: int, env: Mapping[str, str]) -> list[Mount]:
        by_name = {volume["name"]: volume for volume in self._state.pod["spec"].get("volumes") or ()}

        def volume_mount(mount: Mapping[str, Any], subpath: str) -> Mount:
            volume = by_name[mount["name"]]
            read_only, target = bool(mount.get("readOnly")), mount["mountPath"]
            if (volume.get("emptyDir") or {}).get("medium") == "Memory":
                return Mount(target, volume=self._memory_volume(mount["name"]), read_only=read_only, in_memory=True)
            directory = self._state.directory
            if subpath:
                directory.ensure_subpath(mount["name"], subpath)
            path = directory.subpath("volumes", mount["name"], *([subpath] if subpath else []))
            # Folders that the kubelet fills are not for containers to write to, whatever the mount says.
            read_only = read_only or "emptyDir" not in volume
            return Mount(target, volume=self._kit.config.state_volume, subpath=path, read_only=read_only)

        mounts = specs.mounts_of(container, env, volume_mount)
        mounts += self._etc_mounts(mounts)
        if path := container.get("terminationMessagePath", "/dev/termination-log"):
            log = self._state.directory.new_termination_log(container["name"], attempt)
            mounts.append(Mount(path, volume=self._kit.config.state_volume, subpath=log))
        return mounts


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
