"""The control plane container: `python -m labctl.agents.control_plane`.

API server, controllers and kubelets in one process and one event loop. Killed at any moment it loses nothing acknowledged;
pods and rules go on without it, and are adopted when it is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal

from labctl import controllers
from labctl.aiokits import tls
from labctl.apiserver import bootstrap
from labctl.apiserver.server import ApiServer
from labctl.config import LabConfig
from labctl.engine.docker import DockerEngine
from labctl.kubelet.kubelet import Kubelet

_LOG = logging.getLogger("labctl.control-plane")


async def run(config: LabConfig) -> None:
    """Run everything until cancelled."""
    server = ApiServer(config, state_path=config.state_path)
    engine = DockerEngine()
    kubelet = Kubelet(server.local, engine, config)
    _LOG.info("state at revision %d", server.store.revision)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(kubelet.run(), name="kubelet")
            tasks.create_task(controllers.run_all(server.local, config), name="controllers")
            tasks.create_task(bootstrap.keep_kubernetes_service(server.registry), name="service kubernetes")
            tasks.create_task(server.store.keep_compacting(), name="forget old revisions")
            tasks.create_task(server.serve(kubelet.runtime), name="API server")
            gc.freeze()  # what was imported stays: collections need not look at it again
    finally:
        await engine.close()
        server.store.close()


async def main() -> None:
    """Run the control plane until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await run(LabConfig.from_environment())


if __name__ == "__main__":
    tls.small_buffers()
    asyncio.run(main())
