"""One diagnosis from beginning to end: read the facts, find the object, look at it, explain it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from labctl.api import kinds, selectors
from labctl.api.objects import Object, ObjectKey, key_of
from labctl.client.protocol import Api
from labctl.errors import UsageError
from labctl.why import facts as f
from labctl.why import reach
from labctl.why.eyes import Eyes
from labctl.why.findings import Finding, fine, nearest, problem
from labctl.why.pods import explain_pod
from labctl.why.ports import is_host
from labctl.why.services import explain_missing_service, explain_service
from labctl.why.url import aim, explain_url, parse_target

_SERVICES = {"svc", *kinds.SERVICE.short_names, kinds.SERVICE.singular, kinds.SERVICE.resource}
_PODS = {*kinds.POD.short_names, kinds.POD.singular, kinds.POD.resource}
_DEPLOYMENTS = {*kinds.DEPLOYMENT.short_names, kinds.DEPLOYMENT.singular, kinds.DEPLOYMENT.resource}
_HINT = "svc/NAME, pod/NAME, deploy/NAME, a URL or HOST:PORT"
_MOST_PODS = 10  # of one Service that are looked into


async def explain(
    api: Api, target: str, namespace: str, *, eyes: Eyes | None = None, source: str = ""
) -> list[Finding]:
    """Findings about `svc/NAME`, `pod/NAME`, `deploy/NAME`, a URL or `HOST:PORT`. Raises UsageError for anything else.

    `source` is the pod that asks (`web-5d4f`, `pod/web-5d4f`, `deploy/web`); any pod of the namespace unless given.
    """
    facts = await f.gather(api)
    kind, slash, name = target.partition("/")
    if not slash or name.startswith("/") or ":" in kind or "." in kind:
        return await _url(facts, target, namespace, eyes, source)
    if kind in _SERVICES:
        service = facts.service(namespace, name)
        if service is None:
            return explain_missing_service(facts, namespace, name)
        asking = _source(facts, namespace, source, service)
        looked = await _look(facts, eyes, facts.selected(service), asking, reach.targets(facts, service), service)
        return explain_service(looked, service)
    if kind in _PODS:
        pod = facts.pod(namespace, name)
        return explain_pod(await _look(facts, eyes, [pod]), pod) if pod else [_no(facts.pods, target, namespace)]
    if kind in _DEPLOYMENTS:
        return await _deployment(facts, target, namespace, eyes)
    raise UsageError(f'"{target}" is nothing that can be explained', hint=_HINT)


async def explain_everything(api: Api, namespace: str = "", *, eyes: Eyes | None = None) -> list[Finding]:
    """The problems of all Services, and of pods that belong to none, in one namespace or all; `ok` when there is none."""
    facts = await f.gather(api)
    services = [s for s in facts.services if namespace in ("", key_of(s).namespace)]
    pods = [p for p in facts.pods if namespace in ("", key_of(p).namespace) and not f.is_ready(p)]
    selected = [p for s in services for p in facts.selected(s)]
    facts = await _look(facts, eyes, [*selected, *pods])
    about = [(s, explain_service(facts, s)) for s in services]
    told = {key_of(p) for p in selected}
    about += [(p, explain_pod(facts, p)) for p in pods if key_of(p) not in told]
    found = [
        _placed(x, o) for o, said in about if any(x.is_problem for x in said) for x in said if x.is_problem or x.fix
    ]
    unique = list(dict.fromkeys(found))
    where = f'namespace "{namespace}"' if namespace else "all namespaces"
    return unique or [
        fine("all", f"{len(services)} Service(s) of {where} have ready endpoints, and no pod has a problem")
    ]


def _placed(finding: Finding, obj: Object) -> Finding:
    return replace(finding, about=f"{key_of(obj).namespace} {finding.about}")


async def _url(facts: f.Facts, target: str, namespace: str, eyes: Eyes | None, source: str) -> list[Finding]:
    wanted = parse_target(target)
    found = aim(facts, wanted, namespace=namespace)
    asking = _source(facts, namespace, source, found.service)
    pods = facts.selected(found.service) if found.service else [found.pod] if found.pod else []
    # A pod of another namespace would look the name up elsewhere.
    by_name = asking is None or key_of(asking).namespace == namespace or "." in wanted.host or is_host(wanted.host)
    targets = [found.connect] if found.connect and by_name else []
    if found.service is not None:
        targets += reach.targets(facts, found.service)
    looked = await _look(facts, eyes, pods, asking, targets, found.service)
    return explain_url(looked, wanted, namespace=namespace)


async def _deployment(facts: f.Facts, target: str, namespace: str, eyes: Eyes | None) -> list[Finding]:
    name = target.partition("/")[2]
    found = next((d for d in facts.deployments if key_of(d) == (namespace, name)), None)
    if found is None:
        return [_no(facts.deployments, target, namespace)]
    selector = selectors.from_object(found["spec"].get("selector"))
    pods = [p for p in facts.in_namespace(facts.pods, namespace) if selector.matches(f.labels_of(p))]
    if found["spec"].get("replicas") == 0:
        fix = f"kubectl scale deploy/{name} --replicas=1 -n {namespace}"
        return [problem(f"deploy/{name}", "is scaled to 0: it has no pods", fix=fix)]
    if not pods:
        text = "has no pods: " + (f.condition(found, "ReplicaFailure").get("message") or "none has been made yet")
        return [problem(f"deploy/{name}", text, see=f"kubectl describe deploy {name} -n {namespace}")]
    looked = await _look(facts, eyes, pods)
    return [x for p in pods for x in explain_pod(looked, p)]


def _no(there: Sequence[Object], target: str, namespace: str) -> Finding:
    kind, _, name = target.partition("/")
    near = nearest(name, (key_of(o).name for o in there if key_of(o).namespace == namespace))
    text = f'does not exist in namespace "{namespace}"' + (f'; there is "{near}"' if near else "")
    return problem(target, text, see=f"kubectl get {kind} -n {namespace}")


def _source(facts: f.Facts, namespace: str, wanted: str, service: Object | None) -> Object | None:
    """The pod to ask from: the wanted one, else a Ready one of the namespace, rather none that the Service leads to."""
    running = [p for p in facts.pods if (p.get("status") or {}).get("phase") == "Running" and not _is_on_host(p)]
    if wanted:
        kind, _, name = wanted.rpartition("/")
        mine = [p for p in running if key_of(p).namespace == namespace]
        if kind in _DEPLOYMENTS:
            mine = [
                p for p in mine if (o := p["metadata"].get("ownerReferences")) and o[0]["name"].startswith(f"{name}-")
            ]
        else:
            mine = [p for p in mine if key_of(p).name == name and kind in ("", *_PODS)]
        if not mine:
            raise UsageError(
                f'no running pod is "{wanted}" in namespace "{namespace}"', hint="--from deploy/NAME or --from pod/NAME"
            )
        return mine[0]
    behind = {key_of(p) for p in facts.selected(service)} if service else set()

    def order(pod: Object) -> tuple[bool, ...]:
        elsewhere, own_resolver = key_of(pod).namespace != namespace, pod["spec"].get("dnsPolicy") == "Default"
        return own_resolver, elsewhere, not f.is_ready(pod), key_of(pod) in behind

    return min(running, key=order, default=None)


def _is_on_host(pod: Object) -> bool:
    return bool(pod["spec"].get("hostNetwork")) or "deletionTimestamp" in pod["metadata"]


async def _look(
    facts: f.Facts,
    eyes: Eyes | None,
    pods: Sequence[Object],
    source: Object | None = None,
    targets: Sequence[tuple[str, int]] = (),
    service: Object | None = None,
) -> f.Facts:
    """The facts with what the eyes see of some pods and targets; all at once, as a silent target takes seconds."""
    if eyes is None:
        return replace(facts, seen=replace(facts.seen, source=source))
    running = [p for p in pods if (p.get("status") or {}).get("phase") == "Running"][:_MOST_PODS]
    ended = [(p, name) for p in pods[:_MOST_PODS] for name in _ended(p)]
    wanted = [
        t for t in dict.fromkeys(targets) if source or is_host(t[0])
    ]  # pods' addresses are not the host's business
    ports, words, tries = await asyncio.gather(
        asyncio.gather(*(eyes.listening(p) for p in running)),
        asyncio.gather(*(eyes.last_words(p, name) for p, name in ended)),
        asyncio.gather(*(eyes.connect(None if is_host(host) else source, host, port) for host, port in wanted)),
    )
    listening: dict[ObjectKey, frozenset[int]] = {
        key_of(p): found for p, found in zip(running, ports, strict=True) if found is not None
    }
    seen = f.Seen(
        listening=listening,
        source=source,
        attempts={t: a for t, a in zip(wanted, tries, strict=True) if a is not None},
        last_words={(key_of(p), name): said for (p, name), said in zip(ended, words, strict=True) if said},
        free_port=_free_port(eyes, service),
    )
    return replace(facts, seen=seen)


def _ended(pod: Object) -> list[str]:
    """Containers of a pod that have ended, now or the last time."""
    statuses: list[dict[str, Any]] = (pod.get("status") or {}).get("containerStatuses") or []
    return [
        s["name"]
        for s in statuses
        if "terminated" in (s.get("state") or {}) or "terminated" in (s.get("lastState") or {})
    ]


def _free_port(eyes: Eyes, service: Object | None) -> int:
    if service is None or service["spec"].get("type") != "LoadBalancer":
        return 0
    return eyes.free_port(service["spec"]["ports"][0]["port"])
