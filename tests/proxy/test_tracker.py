"""What changed since somebody last asked."""

from __future__ import annotations

from labctl.api.objects import ObjectKey
from labctl.proxy.tracker import Tracker
from tests.proxy.objects import VIEW, compact, endpoint, endpoint_slice, service

WEB = ObjectKey("default", "web")


def test_only_what_matters_to_rules_is_a_change() -> None:
    tracker = Tracker(VIEW)
    assert tracker.set_service(WEB, compact(service()))
    assert not tracker.set_service(WEB, compact({**service(), "status": {"conditions": []}}))
    assert tracker.set_slice(None, compact(endpoint_slice(endpoint("10.244.1.7"))))
    annotated = endpoint_slice(endpoint("10.244.1.7"))
    annotated["metadata"]["annotations"] = {"endpoints.kubernetes.io/last-change-trigger-time": "now"}
    assert not tracker.set_slice(compact(endpoint_slice(endpoint("10.244.1.7"))), compact(annotated))
    assert tracker.take_changed() == {WEB}
    assert tracker.take_changed() == set()


def test_slices_come_before_their_service_and_stay_after_it() -> None:
    tracker = Tracker(VIEW)
    tracker.set_slice(None, compact(endpoint_slice(endpoint("10.244.1.7"))))
    assert tracker.ports(WEB) == ()
    tracker.set_service(WEB, compact(service()))
    assert [e.ip for e in tracker.ports(WEB)[0].endpoints] == ["10.244.1.7"]
    tracker.set_service(WEB, None)
    assert tracker.ports(WEB) == () and list(tracker.all()) == []


def test_a_slice_may_change_its_service() -> None:
    tracker = Tracker(VIEW)
    tracker.set_service(WEB, compact(service()))
    tracker.set_service(ObjectKey("default", "other"), compact(service("other", address="10.96.1.2")))
    first, then = (compact(endpoint_slice(endpoint("10.244.1.7"), of=of, name="x")) for of in ("web", "other"))
    tracker.set_slice(None, first)
    tracker.take_changed()
    tracker.set_slice(first, then)
    assert tracker.take_changed() == {WEB, ObjectKey("default", "other")}
    assert tracker.ports(WEB)[0].endpoints == ()
    assert len(tracker.ports(ObjectKey("default", "other"))[0].endpoints) == 1


def test_deleting_what_was_never_there_changes_nothing() -> None:
    tracker = Tracker(VIEW)
    assert not tracker.set_service(WEB, None)
    assert not tracker.set_slice(compact(endpoint_slice()), None)


def test_services_that_load_balancers_ask_about() -> None:
    tracker = Tracker(VIEW)
    asked = service(type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=30099)
    tracker.set_service(WEB, compact(asked))
    assert [p.health_check_port for p in tracker.health_checked()] == [30099]
    tracker.set_service(WEB, compact(service()))
    assert tracker.health_checked() == []
