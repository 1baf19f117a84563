"""Manifests that several docker tests build on."""

from __future__ import annotations

import json
from typing import Any

IMAGE = "labctl/netexec"  # /hostname, /clientip, /echo over HTTP; `hostname` over UDP


def deployment(name: str, *, replicas: int = 1, image: str = IMAGE, args: list[str] | None = None, **pod: Any) -> str:
    """A Deployment of test servers as JSON; `pod` goes into the pod's spec."""
    container: dict[str, Any] = {"name": "main", "image": image}
    if args is not None:
        container["args"] = args
    container.update(pod.pop("container", {}))
    return json.dumps(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {"terminationGracePeriodSeconds": 1, "containers": [container], **pod},
                },
            },
        }
    )


def service(name: str, *ports: dict[str, Any], app: str | None = None, **spec: Any) -> str:
    """A Service as JSON that selects `app` (its own name by default; "" for none)."""
    selector = name if app is None else app
    body: dict[str, Any] = {"ports": list(ports), **spec}
    if selector:
        body["selector"] = {"app": selector}
    return json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": body})
