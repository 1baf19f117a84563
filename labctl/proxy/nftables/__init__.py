"""kube-proxy's nftables mode: table, chains, maps and sets as kube-proxy 1.36 writes them."""
