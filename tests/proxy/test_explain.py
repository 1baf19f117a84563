"""Which object is behind a rule, in both backends."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.proxy import hostports
from labctl.proxy.explain import Index, Rule, changes, iptables_rules, nftables_rules
from labctl.proxy.iptables.rules import rules
from labctl.proxy.nftables import script
from labctl.proxy.nftables.rules import fragment
from labctl.proxy.pods import HostPort, Pod
from tests.proxy.objects import VIEW, endpoint, endpoint_slice, ports_of, reachable_everywhere, service
from tests.proxy.recorded import cases
from tests.proxy.test_packets import iptables_kernel

POD = {"kind": "Pod", "namespace": "default", "name": "web-1"}
WEB = [
    reachable_everywhere(loadBalancerSourceRanges=["198.51.100.0/24"], externalTrafficPolicy="Local"),
    endpoint_slice(endpoint("10.244.1.7", targetRef=POD), endpoint("10.244.2.8"), name="web-x"),
]
OTHER = [service("other", address="10.96.1.2")]
INDEX = Index([WEB[0], *OTHER], [WEB[1]])


def test_every_rule_of_a_service_names_it() -> None:
    made = rules(ports_of(*WEB), VIEW)
    for table in ("nat", "filter"):
        base = rules([], VIEW).table(table)
        for chain, listed in made.table(table).items():
            for text in listed:
                found = INDEX.explain(Rule(table, chain, text))
                assert (found.service == "default/web") == (text not in base.get(chain, [])), text


def test_every_nftables_rule_and_element_of_a_service_names_it() -> None:
    for port in ports_of(*WEB):
        for many in (False, True):
            made = fragment(port, VIEW, many=many)
            for chain, listed in made.chains.items():
                for text in listed:
                    assert INDEX.explain(Rule("ip kube-proxy", chain, text)).service == "default/web", text
            for element in made.elements:
                found = INDEX.explain(Rule("ip kube-proxy", element.container, script.spelled(element)))
                assert found.service == "default/web" or "reaches itself" in found.note, element


def test_chains_of_one_name_lead_to_endpoints_of_their_own_family() -> None:
    six = endpoint_slice(endpoint("fd00:10:244:0:1::7", node="node-1"), name="web-6", addressType="IPv6")
    both = service(clusterIPs=["10.96.1.1", "fd00:10:96::1"])
    index = Index([both], [endpoint_slice(endpoint("10.244.1.7"), name="web-4"), six])
    text = "meta l4proto tcp dnat {0} to {1}"
    (port,) = ports_of(both, endpoint_slice(endpoint("10.244.1.7")))
    (chain,) = fragment(port, VIEW).chains
    for family, at in (("ip", "10.244.1.7:8080"), ("ip6", "[fd00:10:244:0:1::7]:8080")):
        found = index.explain(Rule(f"{family} kube-proxy", chain, text.format(family, at)))
        assert [e.endpoint for e in found.endpoints] == [at]
    assert index.explain(Rule("ip6 kube-proxy", "cluster-ips", "fd00:10:96::1")).service == "default/web"


def test_every_rule_of_a_node_has_words() -> None:
    listed = iptables_rules(iptables_kernel(*WEB, *OTHER).save())
    assert len(listed) > 40
    assert [r.line for r in listed if not INDEX.explain(r).words] == []


def test_an_endpoints_chain_leads_to_its_pod() -> None:
    (port,) = ports_of(*WEB)
    made = rules([port], VIEW).nat
    (chain,) = [c for c, listed in made.items() if "10.244.1.7:8080" in listed[-1] and c.startswith("KUBE-SEP-")]
    words = "Service default/web port 80/tcp -> Pod default/web-1 on node-1 (EndpointSlice web-x)"
    assert INDEX.explain(Rule("nat", chain, made[chain][-1])).words == words
    by_address = Rule("ip kube-proxy", "x", 'dnat to 10.244.2.8:8080 comment "default/web"')
    wanted = "Service default/web port 80/tcp -> 10.244.2.8:8080 on node-2 (EndpointSlice web-x)"
    assert INDEX.explain(by_address).words == wanted


def test_a_service_without_endpoints_is_named_where_it_is_refused() -> None:
    made = rules(ports_of(*OTHER), VIEW).filter
    assert INDEX.explain(Rule("filter", "KUBE-SERVICES", made["KUBE-SERVICES"][0])).service == "default/other"


def test_json_has_what_is_known() -> None:
    found = INDEX.explain(Rule("ip kube-proxy", "service-ips", '10.96.1.2 . tcp . 80 comment "default/other" : drop'))
    assert found.to_json() == {
        "table": "ip kube-proxy",
        "chain": "service-ips",
        "text": '10.96.1.2 . tcp . 80 comment "default/other" : drop',
        "service": "default/other",
        "port": "80/tcp",
    }


@pytest.mark.parametrize("path", cases("nftables")[:3])
def test_listings_are_read_whole(path: Path) -> None:
    text = path.read_text()
    table = text[text.index("table ip kube-proxy {") : text.index("table ip6 kube-proxy {")]
    assert len(nftables_rules(table)) == sum(script.counted(table).values())


def test_only_rules_that_came_or_went_are_changes() -> None:
    a, b, c = (Rule("nat", "X", text) for text in "abc")
    assert changes([a, b], [c, b]) == [("-", a), ("+", c)]
    assert changes([a, b], [b, a]) == []


POLICY_LISTING = """table ip labctl-policy {
\tset self {
\t\ttype ipv4_addr . ipv4_addr
\t\telements = { 10.244.2.3 . 10.244.2.3 }
\t}
\tchain ingress-EO7VKXCF-shop/api_shop/deny {
\t\tip saddr 10.244.1.4 tcp dport 80 return comment "shop/api"
\t\tcounter packets 0 bytes 0 drop comment "Ingress that no policy allows"
\t}
\tchain forward {
\t\ttype filter hook forward priority mangle; policy accept;
\t\tip daddr vmap @ingress-pods
\t}
}
"""


def test_rules_of_policies_name_them() -> None:
    listed = nftables_rules(POLICY_LISTING)
    assert [INDEX.explain(rule).words for rule in listed] == [
        "NetworkPolicies of this node's Pods",
        "NetworkPolicy shop/api",
        "no rule of NetworkPolicy shop/api, shop/deny allows it",
        "NetworkPolicies of this node's Pods",
    ]


def test_rules_of_host_ports_name_the_pod() -> None:
    pod = Pod("shop", "web", "10.244.1.7", "node-1", {}, (), (HostPort("tcp", 8080, 80),))
    chains = hostports.chains([pod], node="node-1", pod_cidr="10.244.1.0/24")
    words = {INDEX.explain(Rule("nat", chain, text)).words for chain, listed in chains.items() for text in listed}
    assert {"hostPort of Pod shop/web", "a Pod's hostPort"} <= words and "" not in words
