"""Create and update: conflicts, names, dry runs, what clients cannot set."""

from __future__ import annotations

import re

import pytest

from tests.apiserver import remote
from tests.apiserver.harness import APPS, DEFAULT, Client, config_map, deployment, meta, pod, service

MAPS = f"{DEFAULT}/configmaps"


async def test_create_answers_with_what_the_server_added(api: Client) -> None:
    made = await api.post(MAPS, config_map("a", uid="mine", creationTimestamp="2001-01-01T00:00:00Z", generation=7))
    assert made.code == 201
    metadata = made.json["metadata"]
    assert made.json["kind"] == "ConfigMap"
    assert made.json["apiVersion"] == "v1"
    assert metadata["namespace"] == "default"
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", metadata["uid"])
    assert metadata["creationTimestamp"] != "2001-01-01T00:00:00Z"
    assert int(metadata["resourceVersion"]) > 0
    assert metadata["generation"] == 7  # only kinds that count it set it
    assert (await api.get(f"{MAPS}/a")).json == made.json


async def test_second_create_of_a_name_is_refused(api: Client) -> None:
    await api.post(MAPS, config_map("a"))
    again = await api.post(MAPS, config_map("a"))
    assert again.code == 409
    assert again.json == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'configmaps "a" already exists',
        "reason": "AlreadyExists",
        "details": {"name": "a", "kind": "configmaps"},
        "code": 409,
    }


async def test_generated_names(api: Client) -> None:
    made = [(await api.post(MAPS, {"metadata": {"generateName": "x-"}})).json["metadata"] for _ in range(3)]
    assert len({m["name"] for m in made}) == 3
    assert all(re.fullmatch("x-[bcdfghjklmnpqrstvwxz2456789]{5}", m["name"]) for m in made)
    assert all(m["generateName"] == "x-" for m in made)


async def test_long_generate_name_is_cut_to_leave_room(api: Client) -> None:
    made = await api.post(MAPS, {"metadata": {"generateName": "x" * 80}})
    assert made.json["metadata"]["name"][:58] == "x" * 58
    assert len(made.json["metadata"]["name"]) == 63


async def test_no_name_at_all(api: Client) -> None:
    answer = await api.post(MAPS, {"metadata": {}})
    assert answer.code == 422
    assert answer.message == (
        'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required'
    )


async def test_resource_version_on_create(api: Client) -> None:
    answer = await api.post(MAPS, config_map("a", resourceVersion="5"))
    assert answer.code == (500 if remote.URL else 400)  # the client's mistake
    assert answer.message == "resourceVersion should not be set on objects to be created"


async def test_namespace_of_object_and_url_must_agree(api: Client) -> None:
    answer = await api.post(MAPS, config_map("a", namespace="other"))
    assert (answer.code, answer.message) == (
        400,
        "the namespace of the provided object does not match the namespace sent on the request",
    )


async def test_namespace_must_exist(api: Client) -> None:
    answer = await api.post("/api/v1/namespaces/nope/configmaps", config_map("a"))
    assert (answer.code, answer.json["reason"]) == (404, "NotFound")
    assert answer.message == 'namespaces "nope" not found'


async def test_ending_namespace_takes_nothing_new(api: Client) -> None:
    await api.post("/api/v1/namespaces", meta("ending"))
    await api.delete("/api/v1/namespaces/ending")
    answer = await api.post("/api/v1/namespaces/ending/configmaps", config_map("a"))
    assert answer.code == 403
    assert answer.message == (
        'configmaps "a" is forbidden: unable to create new content in namespace ending because it is being terminated'
    )
    assert answer.json["details"]["causes"] == [
        {
            "reason": "NamespaceTerminating",
            "message": "namespace ending is being terminated",
            "field": "metadata.namespace",
        }
    ]


@pytest.mark.parametrize("verb", ["put", "patch"])
async def test_stale_resource_version_is_a_conflict(api: Client, verb: str) -> None:
    old = (await api.post(MAPS, config_map("a"))).json
    await api.patch(f"{MAPS}/a", {"data": {"b": "2"}})
    stale = old if verb == "put" else {"metadata": {"resourceVersion": old["metadata"]["resourceVersion"]}, "data": {}}
    answer = await api.request(
        verb.upper(),
        f"{MAPS}/a",
        stale,
        content_type="application/json" if verb == "put" else "application/merge-patch+json",
    )
    assert answer.code == 409
    assert answer.json["reason"] == "Conflict"
    assert answer.message == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    assert answer.json["details"] == {"name": "a", "kind": "configmaps"}


async def test_update_without_resource_version_overwrites(api: Client) -> None:
    await api.post(MAPS, config_map("a"))
    answer = await api.put(f"{MAPS}/a", config_map("a", {"only": "this"}))
    assert answer.code == 200
    assert answer.json["data"] == {"only": "this"}


async def test_some_kinds_want_a_resource_version(api: Client) -> None:
    path = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    body = {**meta("a"), "spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}}
    assert (await api.post(path, body)).code == 201
    answer = await api.put(f"{path}/a", body)
    assert answer.code == 422
    assert answer.message == (
        'poddisruptionbudgets.policy "a" is invalid: metadata.resourceVersion: Invalid value: 0: '
        "must be specified for an update"
    )


async def test_update_that_changes_nothing_keeps_the_resource_version(api: Client) -> None:
    made = (await api.post(MAPS, config_map("a"))).json
    same = (await api.put(f"{MAPS}/a", made)).json
    assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_update_of_another_uid_is_a_conflict(api: Client) -> None:
    made = (await api.post(MAPS, config_map("a"))).json["metadata"]
    answer = await api.put(f"{MAPS}/a", config_map("a", uid="other"))
    assert answer.code == 409
    assert answer.message == (
        'Operation cannot be fulfilled on configmaps "a": StorageError: invalid object, Code: 4, '
        f"Key: /registry/configmaps/default/a, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: "
        f"UID in precondition: other, UID in object meta: {made['uid']}"
    )


async def test_name_of_object_and_url_must_agree(api: Client) -> None:
    await api.post(MAPS, config_map("a"))
    answer = await api.put(f"{MAPS}/a", config_map("b"))
    assert (answer.code, answer.message) == (
        400,
        "the name of the object (b) does not match the name on the URL (a)",
    )


async def test_update_of_nothing(api: Client) -> None:
    answer = await api.put(f"{MAPS}/a", config_map("a"))
    assert (answer.code, answer.message) == (404, 'configmaps "a" not found')
    assert (await api.patch(f"{MAPS}/a", {})).code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{DEFAULT}/services", service("a")),
        (f"{DEFAULT}/endpoints", {"kind": "Endpoints", "apiVersion": "v1", **meta("a")}),
        ("/apis/coordination.k8s.io/v1/namespaces/default/leases", {**meta("a"), "spec": {"holderIdentity": "me"}}),
    ],
    ids=["services", "endpoints", "leases"],
)
async def test_some_kinds_are_created_by_put(api: Client, path: str, body: dict[str, object]) -> None:
    answer = await api.put(f"{path}/a", body)
    assert answer.code == 201
    assert (await api.get(f"{path}/a")).code == 200


async def test_dry_run_answers_and_stores_nothing(api: Client) -> None:
    made = await api.post(f"{DEFAULT}/services", service("a"), dryRun="All")
    assert made.code == 201
    assert made.json["spec"]["clusterIP"].startswith("10.")
    assert (await api.get(f"{DEFAULT}/services/a")).code == 404
    await api.post(MAPS, config_map("a"))
    changed = await api.patch(f"{MAPS}/a", {"data": {"b": "2"}}, dryRun="All")
    assert changed.json["data"] == {"a": "1", "b": "2"}
    assert (await api.delete(f"{MAPS}/a", dryRun="All")).code == 200
    assert (await api.get(f"{MAPS}/a")).json["data"] == {"a": "1"}


async def test_dry_run_of_a_deployment_that_exists(api: Client) -> None:
    await api.post(f"{APPS}/deployments", deployment("a"))
    assert (await api.post(f"{APPS}/deployments", deployment("a"), dryRun="All")).code == 409


async def test_dry_run_by_another_word(api: Client) -> None:
    answer = await api.post(MAPS, config_map("a"), dryRun="Some")
    assert answer.code == 422
    assert answer.message == (
        'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"'
    )


async def test_generation_counts_changes_of_the_spec(api: Client) -> None:
    path = f"{APPS}/deployments/a"
    assert (await api.post(f"{APPS}/deployments", deployment("a"))).json["metadata"]["generation"] == 1
    assert (await api.patch(path, {"spec": {"replicas": 3}})).json["metadata"]["generation"] == 2
    assert (await api.patch(path, {"metadata": {"labels": {"x": "y"}}})).json["metadata"]["generation"] == 2


async def test_status_is_not_written_with_the_object(api: Client) -> None:
    made = await api.post(f"{APPS}/deployments", {**deployment("a"), "status": {"replicas": 7}})
    assert made.json["status"] == {}
    changed = await api.patch(f"{APPS}/deployments/a", {"status": {"replicas": 7}})
    assert changed.json["status"] == {}


async def test_new_pod_has_what_admission_gives(api: Client) -> None:
    made = (await api.post(f"{DEFAULT}/pods", pod("a"))).json
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert made["spec"]["serviceAccountName"] == "default"
    assert [t["key"] for t in made["spec"]["tolerations"]] == [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ]
    mount = made["spec"]["containers"][0]["volumeMounts"][0]
    assert mount["name"] == made["spec"]["volumes"][0]["name"]
    assert made["spec"]["priority"] == 0


async def test_label_keys_of_a_pod_narrow_its_selectors(api: Client) -> None:
    keys = {"matchLabelKeys": ["app", "not-there"], "mismatchLabelKeys": ["tenant"]}
    term = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}, **keys}
    rules = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    body = pod("a", affinity={"podAntiAffinity": rules})
    body["metadata"]["labels"] = {"app": "web", "tenant": "us"}
    made = (await api.post(f"{DEFAULT}/pods", body)).json["spec"]["affinity"]["podAntiAffinity"]
    assert made["requiredDuringSchedulingIgnoredDuringExecution"][0]["labelSelector"] == {
        "matchLabels": {"a": "b"},
        "matchExpressions": [
            {"key": "app", "operator": "In", "values": ["web"]},
            {"key": "tenant", "operator": "NotIn", "values": ["us"]},
        ],
    }


async def test_a_pod_of_a_runtime_class_is_refused(api: Client) -> None:
    answer = await api.post(f"{DEFAULT}/pods", pod("p", runtimeClassName="gvisor"))
    assert (answer.code, answer.message) == (
        403,
        'pods "p" is forbidden: pod rejected: RuntimeClass "gvisor" not found',
    )


async def test_replacing_a_pod_by_its_manifest_takes_nothing_from_it(api: Client) -> None:
    await api.post(f"{DEFAULT}/serviceaccounts", meta("default"))
    spec = {
        "containers": [{"name": "a", "image": "b"}],
        "automountServiceAccountToken": False,
        "serviceAccount": "default",
    }
    body = {**meta("p"), "spec": {**spec, "serviceAccountName": "default"}}
    made = (await api.post(f"{DEFAULT}/pods", body)).json["spec"]
    body["metadata"]["labels"] = {"a": "b"}
    replaced = await api.put(f"{DEFAULT}/pods/p", body)
    assert (replaced.code, replaced.json["spec"]) == (200, made)
