"""A Pod as the API server has it when it looks at it: decoded and defaulted."""

from __future__ import annotations

from typing import Any

from labctl.api import defaults, kinds
from labctl.api.objects import Object
from labctl.api.validation import pods


def pod(**spec: Any) -> Object:
    """A valid Pod but for the fields given."""
    containers = [{"name": "web", "image": "nginx"}]
    made: Object = {"metadata": {"name": "web", "namespace": "default"}, "spec": {"containers": containers, **spec}}
    defaults.apply_defaults(kinds.POD, made)
    return made


def complaints(spec: Object) -> list[str]:
    """What is wrong with a Pod of which only these fields are not as they should be."""
    return [f"{cause.field}: {cause.message}" for cause in pods.validate(pod(**spec))]
