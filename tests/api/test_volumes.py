"""Volumes that a lab has not."""

from __future__ import annotations

import pytest

from labctl.api import kinds, volumes, warnings


@pytest.mark.parametrize("source", volumes.SUPPORTED)
def test_what_can_be_had(source: str) -> None:
    assert volumes.lack({"name": "v", source: {}}) == ""


@pytest.mark.parametrize("source", ["hostPath", "persistentVolumeClaim", "csi"])
def test_what_keeps_a_pod_waiting_is_told_when_it_is_created(source: str) -> None:
    spec = {
        "containers": [{"name": "c", "image": "i"}],
        "volumes": [{"name": "ok", "emptyDir": {}}, {"name": "v", source: {}}],
    }
    metadata = {"name": "p", "namespace": "default"}
    text = f"labctl has no {source} volumes: use one of emptyDir, configMap, secret, downwardAPI, projected, or"
    (said,) = warnings.of_new(kinds.POD, {"metadata": metadata, "spec": spec})
    assert said.startswith(f"spec.volumes[1]: {text}")
    (said,) = warnings.of_new(kinds.DEPLOYMENT, {"metadata": metadata, "spec": {"template": {"spec": spec}}})
    assert said.startswith(f"spec.template.spec.volumes[1]: {text}")
