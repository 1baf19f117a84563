"""kube-proxy's iptables mode: chains, names and rules as kube-proxy 1.36 writes them."""
