"""The Corefile of a lab that runs, after `labctl up --dns-upstream`: CoreDNS reads it again by itself.

Without that option a Corefile that somebody edited is left alone.
"""

from __future__ import annotations

from labctl.api.objects import Object
from labctl.errors import LabctlError
from labctl.lab import readiness
from labctl.lab.record import Record


def ensure(lab: Record) -> None:
    """Make the ConfigMap say what the lab's record says. Raises LabctlError."""
    wanted = _config_map(lab.config.addons)
    path = f"/api/v1/namespaces/{wanted['metadata']['namespace']}/configmaps/{wanted['metadata']['name']}"
    answer = readiness.ask(lab, path)
    if answer.body.get("data") == wanted["data"]:
        return
    done = readiness.ask(lab, path, method="PUT", body={**answer.body, "data": wanted["data"]})
    if done.code != 200:
        raise LabctlError(f"the Corefile could not be changed: {done.body.get('message') or done.text[:200]}")


def _config_map(addons: tuple[Object, ...]) -> Object:
    return next(o for o in addons if o["kind"] == "ConfigMap" and "Corefile" in o["data"])
