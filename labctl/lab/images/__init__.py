"""See README.md of labctl/lab: where images come from."""

from labctl.lab.images.ensure import Images, ensure, ensure_netexec

__all__ = ["Images", "ensure", "ensure_netexec"]
