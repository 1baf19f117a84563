"""One diagnosis from beginning to end: read the facts, find the object, explain it."""

from __future__ import annotations

from labctl.api import kinds
from labctl.client.protocol import Api
from labctl.errors import UsageError
from labctl.why import facts as f
from labctl.why.findings import Finding, problem
from labctl.why.pods import explain_pod
from labctl.why.services import explain_missing_service, explain_service
from labctl.why.url import explain_url, parse_target

_SERVICES = {"svc", *kinds.SERVICE.short_names, kinds.SERVICE.singular, kinds.SERVICE.resource}
_PODS = {*kinds.POD.short_names, kinds.POD.singular, kinds.POD.resource}


async def explain(api: Api, target: str, namespace: str) -> list[Finding]:
    """Findings about `svc/NAME`, `pod/NAME`, a URL or `HOST:PORT`. Raises UsageError for anything else."""
    kind, slash, name = target.partition("/")
    if slash and not name.startswith("/") and ":" not in kind and "." not in kind:
        if kind in _SERVICES:
            facts = await f.gather(api)
            service = facts.service(namespace, name)
            return explain_service(facts, service) if service else explain_missing_service(facts, namespace, name)
        if kind in _PODS:
            facts = await f.gather(api)
            pod = facts.pod(namespace, name)
            if pod is None:
                return [
                    problem(
                        target, f'does not exist in namespace "{namespace}"', fix=f"kubectl get pods -n {namespace}"
                    )
                ]
            return explain_pod(facts, pod)
        raise UsageError(f'"{target}" is nothing that can be explained', hint="svc/NAME, pod/NAME, a URL or HOST:PORT")
    wanted = parse_target(target)
    return explain_url(await f.gather(api), wanted, namespace=namespace)
