"""Programs that labctl compiles from Go modules where no package brings them, kept in the cache."""

from labctl.lab.tools.kubernetes import compiled_kubectl, kube_proxy_binary, kubectl_binary

__all__ = ["compiled_kubectl", "kube_proxy_binary", "kubectl_binary"]
