"""PodTemplates are kept as they are: nothing is made of them."""

from __future__ import annotations

from tests.apiserver.harness import DEFAULT, Client, meta

PATH = f"{DEFAULT}/podtemplates"
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"


def template(image: str = "web:1") -> dict[str, object]:
    spec = {"containers": [{"name": "web", "image": image}]}
    return {**meta("t"), "template": {"metadata": {"labels": {"app": "web"}}, "spec": spec}}


async def test_a_template_is_defaulted_and_counted(api: Client) -> None:
    made = (await api.post(PATH, template())).json
    assert made["metadata"]["generation"] == 1
    assert made["template"]["spec"]["restartPolicy"] == "Always"
    assert made["template"]["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    changed = (await api.put(f"{PATH}/t", template("web:2"))).json
    assert changed["metadata"]["generation"] == 2
    listed = (await api.get(PATH, headers={"accept": TABLE})).json
    assert [c["name"] for c in listed["columnDefinitions"]] == ["Name", "Containers", "Images", "Pod Labels"]
    assert listed["rows"][0]["cells"] == ["t", "web", "web:2", "app=web"]


async def test_its_pods_must_be_possible(api: Client) -> None:
    wrong = template("")
    answer = await api.post(PATH, wrong)
    assert answer.code == 422
    assert answer.message == 'PodTemplate "t" is invalid: template.spec.containers[0].image: Required value'
