"""The objects a lab starts with beside what the API server makes itself: CoreDNS in kube-system, as kubeadm has it."""

from __future__ import annotations

from labctl.api.objects import Object

_NAMESPACE = "kube-system"
_LABELS = {"k8s-app": "kube-dns"}
_PORTS = (("dns", "UDP", 53), ("dns-tcp", "TCP", 53), ("metrics", "TCP", 9153))


def coredns(image: str, corefile: str, *, dns_address: str) -> tuple[Object, ...]:
    """Everything of CoreDNS, in the order in which it has to be created."""
    return (
        _config_map(corefile),
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _meta("coredns")},
        _cluster_role(),
        _cluster_role_binding(),
        _service(dns_address),
        _deployment(image),
    )


def _meta(name: str, **labels: str) -> Object:
    meta: Object = {"name": name, "namespace": _NAMESPACE}
    if labels:
        meta["labels"] = labels
    return meta


def _config_map(corefile: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _meta("coredns"), "data": {"Corefile": corefile}}


def _cluster_role() -> Object:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "system:coredns"},
        "rules": [
            {
                "apiGroups": [""],
                "resources": ["endpoints", "services", "pods", "namespaces"],
                "verbs": ["list", "watch"],
            },
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
        ],
    }


def _cluster_role_binding() -> Object:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "system:coredns"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"},
        "subjects": [{"kind": "ServiceAccount", "name": "coredns", "namespace": _NAMESPACE}],
    }


def _service(dns_address: str) -> Object:
    meta: Object = {
        **_meta("kube-dns", **_LABELS, **{"kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"}),
        "annotations": {"prometheus.io/port": "9153", "prometheus.io/scrape": "true"},
    }
    ports = [{"name": name, "port": port, "protocol": protocol, "targetPort": port} for name, protocol, port in _PORTS]
    spec = {"clusterIP": dns_address, "selector": _LABELS, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


def _deployment(image: str) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _meta("coredns", **_LABELS),
        "spec": {
            "replicas": 1,  # of the two that kubeadm runs a lab gains nothing but memory
            "selector": {"matchLabels": _LABELS},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
            "template": {"metadata": {"labels": _LABELS}, "spec": _pod(image)},
        },
    }


def _pod(image: str) -> Object:
    container: Object = {
        "name": "coredns",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["-conf", "/etc/coredns/Corefile"],
        # A lab has few objects: collect early and stay small (40 MiB instead of 60 measured at rest).
        "env": [{"name": "GOGC", "value": "50"}, {"name": "GOMEMLIMIT", "value": "60MiB"}],
        "ports": [{"name": name, "containerPort": port, "protocol": protocol} for name, protocol, port in _PORTS],
        "livenessProbe": {
            "httpGet": {"path": "/health", "port": 8080},
            "initialDelaySeconds": 60,
            "timeoutSeconds": 5,
            "periodSeconds": 30,
            "failureThreshold": 5,
        },
        # No readinessProbe, unlike kubeadm's: CoreDNS opens its port only when it has the cluster's objects, and the first
        # failed probe would cost a whole period.
        "resources": {"limits": {"memory": "170Mi"}, "requests": {"cpu": "100m", "memory": "70Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "config-volume", "mountPath": "/etc/coredns", "readOnly": True}],
    }
    config = {"name": "coredns", "items": [{"key": "Corefile", "path": "Corefile"}]}
    return {
        "serviceAccountName": "coredns",
        "dnsPolicy": "Default",
        "containers": [container],
        "volumes": [{"name": "config-volume", "configMap": config}],
    }
