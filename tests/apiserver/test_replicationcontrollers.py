"""ReplicationControllers over HTTP: what is refused, how they are shown, their scale."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apiserver.harness import DEFAULT, TABLE, Client, meta

CONTROLLERS = f"{DEFAULT}/replicationcontrollers"


def controller(name: str = "old", **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
    return {**meta(name), "spec": {"template": template, **spec}}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"template": None}, "[spec.selector: Required value, spec.template: Required value]"),
        (
            {"selector": {"app": "db"}},
            'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
        ),
        ({"replicas": -1}, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        ({"minReadySeconds": -1}, "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0"),
    ],
)
async def test_what_is_refused(api: Client, spec: dict[str, Any], words: str) -> None:
    refused = await api.post(CONTROLLERS, controller(**spec))
    assert (refused.code, refused.message) == (422, f'ReplicationController "old" is invalid: {words}')


async def test_pods_that_end_by_themselves_cannot_be_kept(api: Client) -> None:
    body = controller()
    body["spec"]["template"]["spec"] |= {"activeDeadlineSeconds": 5, "restartPolicy": "Never"}
    causes = (await api.post(CONTROLLERS, body)).json["details"]["causes"]
    assert [c["message"] for c in causes] == [
        'Unsupported value: "Never": supported values: "Always"',
        "Forbidden: activeDeadlineSeconds in ReplicationController is not Supported",
    ]


async def test_it_is_shown_with_its_labels_as_selector(api: Client) -> None:
    await api.post(CONTROLLERS, controller(replicas=3))
    table = (await api.get(CONTROLLERS, headers={"accept": TABLE})).json
    columns = [c["name"] for c in table["columnDefinitions"]]
    assert columns == ["Name", "Desired", "Current", "Ready", "Age", "Containers", "Images", "Selector"]
    cells = table["rows"][0]["cells"]
    assert [*cells[:4], *cells[5:]] == ["old", 3, 0, 0, "web", "web:1", "app=web"]


async def test_its_selector_may_change_and_counts_as_a_new_generation(api: Client) -> None:
    await api.post(CONTROLLERS, controller())
    body = controller(selector={"app": "web", "tier": "front"})
    body["spec"]["template"]["metadata"]["labels"]["tier"] = "front"
    changed = (await api.put(f"{CONTROLLERS}/old", body)).json
    assert (changed["metadata"]["generation"], changed["spec"]["selector"]) == (2, {"app": "web", "tier": "front"})


async def test_its_scale_and_the_field_that_selects_by_it(api: Client) -> None:
    made = (await api.post(CONTROLLERS, controller())).json
    scaled = (await api.put(f"{CONTROLLERS}/old/scale", {**meta("old"), "spec": {"replicas": 4}})).json
    assert (scaled["kind"], scaled["spec"], scaled["status"]["selector"]) == ("Scale", {"replicas": 4}, "app=web")
    await api.put(f"{CONTROLLERS}/old/status", {**meta("old"), "spec": made["spec"], "status": {"replicas": 2}})
    assert await api.names(CONTROLLERS, fieldSelector="status.replicas=2") == ["old"]
    assert await api.names(CONTROLLERS, fieldSelector="status.replicas=4") == []


async def test_a_delete_that_says_nothing_leaves_the_pods_to_nobody(api: Client) -> None:
    await api.post(CONTROLLERS, controller())
    deleted = (await api.delete(f"{CONTROLLERS}/old")).json
    assert deleted["metadata"]["finalizers"] == ["orphan"]
    await api.post(CONTROLLERS, controller("other"))
    gone = await api.delete(f"{CONTROLLERS}/other", {"propagationPolicy": "Background"})
    assert gone.json["status"] == "Success"


async def test_a_scale_is_shown_as_a_table_too(api: Client) -> None:
    await api.post(CONTROLLERS, controller(replicas=3))
    table = (await api.get(f"{CONTROLLERS}/old/scale", headers={"accept": TABLE})).json
    assert [c["name"] for c in table["columnDefinitions"]] == ["Name", "Desired", "Available", "Age"]
    assert table["rows"][0]["cells"][:3] == ["old", 3, 0]
