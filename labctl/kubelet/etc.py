"""The pod's /etc/resolv.conf and /etc/hosts, byte for byte as a kubelet writes them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labctl.api.objects import Object
from labctl.kubelet import naming

MAX_NAMESERVERS = 3
MAX_SEARCH_DOMAINS = 32
_HOSTS = """# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""


@dataclass(frozen=True, slots=True)
class Resolver:
    """What a resolv.conf says."""

    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def parse_resolv_conf(text: str) -> Resolver:
    """Read a resolv.conf; of several search or options lines the last one counts."""
    nameservers: list[str] = []
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    for line in text.splitlines():
        match line.split():
            case ["nameserver", address, *_]:
                nameservers.append(address)
            case ["search", *domains]:
                searches = tuple(d.rstrip(".") for d in domains if d != ".")
            case ["options", *words]:
                options = tuple(words)
    return Resolver(tuple(nameservers), searches, options)


def resolver_of(pod: Object, *, dns_address: str, cluster_domain: str, node: Resolver) -> Resolver:
    """The pod's resolver after dnsPolicy and dnsConfig; `node` is what dnsPolicy Default inherits."""
    spec = pod["spec"]
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    if policy == "None":
        base = Resolver()
    elif policy == "Default" or (policy == "ClusterFirst" and spec.get("hostNetwork")):
        base = node
    else:
        domains = (f"{pod['metadata']['namespace']}.svc.{cluster_domain}", f"svc.{cluster_domain}", cluster_domain)
        base = Resolver((dns_address,), _unique((*domains, *node.searches)), ("ndots:5",))
    return _with_config(base, spec.get("dnsConfig") or {})


def _with_config(base: Resolver, config: Object) -> Resolver:
    options = dict(_option(o) for o in base.options)
    options.update((o["name"], o.get("value")) for o in config.get("options") or ())
    return Resolver(
        _unique((*base.nameservers, *(config.get("nameservers") or ())))[:MAX_NAMESERVERS],
        _unique((*base.searches, *(config.get("searches") or ())))[:MAX_SEARCH_DOMAINS],
        tuple(name if value in (None, "") else f"{name}:{value}" for name, value in options.items()),
    )


def _option(text: str) -> tuple[str, str | None]:
    name, colon, value = text.partition(":")
    return name, value if colon else None


def _unique(items: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))


def render_resolv_conf(resolver: Resolver) -> str:
    """The file's text, in the order in which a container runtime writes it."""
    lines = []
    if resolver.searches:
        lines.append("search " + " ".join(resolver.searches))
    lines += [f"nameserver {address}" for address in resolver.nameservers]
    if resolver.options:
        lines.append("options " + " ".join(resolver.options))
    return "".join(f"{line}\n" for line in lines)


def render_hosts(pod: Object, addresses: Sequence[str], cluster_domain: str) -> str:
    """The file's text: localhost, the pod itself, its hostAliases."""
    name, domain = naming.hostname(pod), naming.host_domain(pod, cluster_domain)
    own = f"{name}.{domain}\t{name}" if domain else name
    return _HOSTS + "".join(f"{address}\t{own}\n" for address in addresses) + _aliases(pod)


def render_host_network_hosts(pod: Object, node_hosts: str) -> str:
    """The file's text of a pod on its node's network: the node's own file and the pod's hostAliases."""
    header = "# Kubernetes-managed hosts file (host network).\n"
    return header + node_hosts + _aliases(pod)


def _aliases(pod: Object) -> str:
    aliases = pod["spec"].get("hostAliases") or ()
    if not aliases:
        return ""
    lines = ("\t".join((alias["ip"], *(alias.get("hostnames") or ()))) for alias in aliases)
    return "\n# Entries added by HostAliases.\n" + "".join(f"{line}\n" for line in lines)
