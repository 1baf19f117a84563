"""The controllers of kube-controller-manager and kube-scheduler that a lab needs. See README.md in this folder."""

from labctl.controllers.manager import run_all

__all__ = ["run_all"]
