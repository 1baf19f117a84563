"""labctl: a lab for Kubernetes Services on one machine's Docker."""

__version__ = "0.1.0"
KUBERNETES_VERSION = "v1.36.3"  # the behaviour, wording and API surface that labctl follows
