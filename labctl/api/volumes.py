"""The kinds of volumes that pods of a lab get; Kubernetes' others are accepted, and their pods wait in ContainerCreating."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SUPPORTED = ("emptyDir", "configMap", "secret", "downwardAPI", "projected")


def lack(volume: Mapping[str, Any]) -> str:
    """Why a volume of a Pod's spec cannot be had, and what can; empty where it can."""
    source = next((key for key in volume if key != "name"), "unknown")
    if source in SUPPORTED:
        return ""
    return (
        f"labctl has no {source} volumes: use one of {', '.join(SUPPORTED)}, or a container image that holds the data"
    )
