"""Names and labels of a pod's containers: Kubernetes' own where it has some, so that `docker ps` reads familiarly."""

from __future__ import annotations

from collections.abc import Mapping

from labctl.api.objects import Object
from labctl.config import (
    LABEL_CONTAINER_NAME,
    LABEL_LAB,
    LABEL_POD_NAME,
    LABEL_POD_NAMESPACE,
    LABEL_POD_UID,
    LABEL_ROLE,
)

LABEL_ATTEMPT = "io.kubernetes.container.restartCount"
LABEL_GRACE = "io.kubernetes.pod.terminationGracePeriod"
_KERNEL_MAX = 64
SANDBOX = "POD"  # the container name under which dockershim listed sandboxes


def container_name(pod: Object, container: str, attempt: int) -> str:
    """`k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT`."""
    meta = pod["metadata"]
    return f"k8s_{container}_{meta['name']}_{meta['namespace']}_{meta['uid']}_{attempt}"


def labels(lab: str, pod: Object, container: str, attempt: int) -> dict[str, str]:
    """Labels by which the kubelet finds its containers again after a restart."""
    meta = pod["metadata"]
    return {
        LABEL_LAB: lab,
        LABEL_ROLE: "sandbox" if container == SANDBOX else "container",
        LABEL_POD_NAMESPACE: meta["namespace"],
        LABEL_POD_NAME: meta["name"],
        LABEL_POD_UID: meta["uid"],
        LABEL_CONTAINER_NAME: container,
        LABEL_ATTEMPT: str(attempt),
        LABEL_GRACE: str(pod["spec"].get("terminationGracePeriodSeconds", 30)),
    }


def attempt_of(labels: Mapping[str, str]) -> int:
    """The restart count with which a container was created."""
    text = labels.get(LABEL_ATTEMPT, "0")
    return int(text) if text.isdigit() else 0


def hostname(pod: Object) -> str:
    """The pod's host name: hostnameOverride, spec.hostname or its name, at most 63 characters."""
    spec = pod["spec"]
    name = str(spec.get("hostnameOverride") or spec.get("hostname") or pod["metadata"]["name"])
    return name if len(name) <= 63 else name[:63].rstrip("-.")


def kernel_hostname(pod: Object, cluster_domain: str) -> str:
    """What `hostname` prints: the host name, or all of it with setHostnameAsFQDN. Raises ValueError when it is too long."""
    name, domain = hostname(pod), host_domain(pod, cluster_domain)
    if not pod["spec"].get("setHostnameAsFQDN") or not domain:
        return name
    full = f"{name}.{domain}"
    if len(full) > _KERNEL_MAX:
        raise ValueError(
            f"failed to construct FQDN from pod hostname and cluster domain, FQDN {full} is too long "
            f"({_KERNEL_MAX} characters is the max, {len(full)} characters requested)"
        )
    return full


def host_domain(pod: Object, cluster_domain: str) -> str:
    """`SUBDOMAIN.NAMESPACE.svc.DOMAIN`, or nothing when the pod has no subdomain."""
    subdomain = pod["spec"].get("subdomain")
    if not subdomain or pod["spec"].get("hostnameOverride"):
        return ""
    return f"{subdomain}.{pod['metadata']['namespace']}.svc.{cluster_domain}"
