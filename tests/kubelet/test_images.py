from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from labctl.engine.fake import FakeEngine
from labctl.engine.protocol import ImageInfo
from labctl.kubelet.images import ImageError, Images, Resolved, default_tag, registry_of
from labctl.kubelet.recorder import PodEvents
from tests.kubelet.conftest import from_registry, pod
from tests.kubelet.fake_api import Recorded


@dataclass
class Bench:
    now: float = 1000.0
    engine: FakeEngine = field(default_factory=lambda: FakeEngine(images=["local"]))
    events: Recorded = field(default_factory=Recorded)

    def __post_init__(self) -> None:
        self.images = Images(self.engine, {"kiamol/ch03-sleep": "labctl/sleep"}, lambda: self.now)

    async def ensure(self, image: str, policy: str = "IfNotPresent", uid: str = "u") -> Resolved:
        made = pod(image=image, imagePullPolicy=policy)
        made["metadata"]["uid"] = uid
        return await self.images.ensure(made, made["spec"]["containers"][0], PodEvents(self.events, made, "node-1"))

    async def refused(self, image: str, policy: str = "IfNotPresent", uid: str = "u") -> ImageError:
        with pytest.raises(ImageError) as caught:
            await self.ensure(image, policy, uid)
        return caught.value


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_present_image_is_used(bench: Bench) -> None:
    assert (await bench.ensure("local")).info.id == "sha256:local"
    assert bench.engine.calls["pull"] == 0


async def test_a_missing_image_is_pulled_and_told(bench: Bench) -> None:
    bench.engine.pullable["far"] = ImageInfo("sha256:far", size_bytes=123)
    await bench.ensure("far")
    assert bench.events.reasons("p") == ["Pulling", "Pulled"]
    assert bench.events.messages("p", "Pulled")[0].endswith("Image size: 123 bytes.")


async def test_never_means_never(bench: Bench) -> None:
    assert (await bench.refused("far", "Never")).reason == "ErrImageNeverPull"
    assert bench.events.messages("p", "ErrImageNeverPull") == [
        'Container image "far" is not present with pull policy of Never'
    ]


async def test_a_failed_pull_backs_off_and_tells_why_meanwhile(bench: Bench) -> None:
    error = await bench.refused("far")
    assert error.reason == "ErrImagePull" and "manifest for far not found" in error.message
    assert bench.events.messages("p", "Failed") == [
        'Failed to pull image "far": manifest for far not found: manifest unknown',
        "Error: ErrImagePull",
    ]
    again = await bench.refused("far")
    assert again.reason == "ImagePullBackOff"
    assert again.message == ('Back-off pulling image "far": ErrImagePull: manifest for far not found: manifest unknown')
    bench.engine.pullable["far"] = ImageInfo("sha256:far")
    bench.now += 61
    assert (await bench.ensure("far")).name == "far"


async def test_a_registry_that_does_not_answer_is_waited_for_once_a_minute(bench: Bench) -> None:
    bench.engine.unreachable_registry = True
    for uid in ("a", "b", "c"):
        await bench.refused("far", uid=uid)
    await bench.refused("another", uid="d")
    assert bench.engine.calls["pull"] == 1
    await bench.refused("quay.example/other", uid="e")
    assert bench.engine.calls["pull"] == 2, "another registry may answer"
    bench.now += 61
    await bench.refused("far", uid="f")
    assert bench.engine.calls["pull"] == 3


async def test_a_stand_in_is_used_only_after_a_failed_pull_and_an_event_says_so(bench: Bench) -> None:
    bench.engine.images["labctl/sleep"] = ImageInfo("sha256:stand-in")
    assert (await bench.ensure("kiamol/ch03-sleep")).name == "labctl/sleep"
    assert bench.engine.calls["pull"] == 1
    assert bench.events.messages("p", "StandIn") == [
        'Image "kiamol/ch03-sleep" cannot be pulled: using labctl\'s stand-in "labctl/sleep" instead'
    ]
    bench.now += 61
    bench.engine.pullable["kiamol/ch03-sleep"] = ImageInfo("sha256:real")
    assert (await bench.ensure("kiamol/ch03-sleep")).info.id == "sha256:real"


async def test_always_pulls_what_came_from_a_registry_but_not_what_was_built_here(bench: Bench) -> None:
    await bench.ensure("local", "Always")
    assert bench.engine.calls["pull"] == 0
    bench.engine.images["pulled"] = from_registry("pulled")
    bench.engine.pullable["pulled"] = from_registry("newer")
    assert (await bench.ensure("pulled", "Always")).info.id == "sha256:newer"


async def test_always_makes_do_with_the_copy_when_no_registry_answers(bench: Bench) -> None:
    bench.engine.images["pulled"] = from_registry("pulled")
    bench.engine.unreachable_registry = True
    assert (await bench.ensure("pulled", "Always")).name == "pulled"
    assert "registry does not answer" in bench.events.messages("p", "Pulled")[0]
    bench.engine.unreachable_registry = False
    bench.now += 61
    assert (await bench.refused("pulled", "Always")).reason == "ErrImagePull", "the registry says there is none"


async def test_one_pull_serves_all_who_wait_for_it(bench: Bench) -> None:
    bench.engine.pullable["far"] = ImageInfo("sha256:far")
    await asyncio.gather(*(bench.ensure("far", uid=str(n)) for n in range(5)))
    assert bench.engine.calls["pull"] == 1


@pytest.mark.parametrize(
    ("image", "tagged", "registry"),
    [
        ("busybox", "busybox:latest", "docker.io"),
        ("kiamol/ch03-sleep", "kiamol/ch03-sleep:latest", "docker.io"),
        ("localhost:5000/x", "localhost:5000/x:latest", "localhost:5000"),
        ("ghcr.io/a/b:1", "ghcr.io/a/b:1", "ghcr.io"),
        ("a@sha256:0", "a@sha256:0", "docker.io"),
    ],
)
def test_image_names(image: str, tagged: str, registry: str) -> None:
    assert (default_tag(image), registry_of(image)) == (tagged, registry)
