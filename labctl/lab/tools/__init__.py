"""Programs that labctl compiles from Go modules where no package brings them, kept in the cache."""

from labctl.lab.tools.kubernetes import kube_proxy_binary, kubectl_binary

__all__ = ["kube_proxy_binary", "kubectl_binary"]
