"""What kube-apiserver's default admission plugins add to a Pod and refuse elsewhere.

ServiceAccount, DefaultTolerationSeconds, RuntimeClass, NamespaceLifecycle and (in `priorities`) Priority, as a cluster
started by kubeadm runs them.
"""

from __future__ import annotations

import secrets

from labctl.api import kinds, status
from labctl.api.kinds import Kind
from labctl.api.objects import Object, ObjectKey
from labctl.apiserver import priorities
from labctl.store.store import Store

TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105  # a path, as every pod has it
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # k8s.io/apimachinery/pkg/util/rand: no vowels, no look-alikes
_TOLERATIONS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_IMMORTAL = ("default", "kube-system", "kube-public")


def random_suffix(length: int = 5) -> str:
    """What Kubernetes appends to generated names."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def check_namespace(store: Store, kind: Kind, namespace: str, name: str) -> None:
    """Refuse creation in a namespace that is missing or ending."""
    found = store.get(kinds.NAMESPACE.group_resource, ObjectKey("", namespace))
    if found is None:
        raise status.not_found(kinds.NAMESPACE, namespace)
    if found["metadata"].get("deletionTimestamp"):
        error = status.forbidden(
            kind, name, f"unable to create new content in namespace {namespace} because it is being terminated"
        )
        error.details = {
            **(error.details or {}),
            "causes": [
                {
                    "reason": "NamespaceTerminating",
                    "message": f"namespace {namespace} is being terminated",
                    "field": "metadata.namespace",
                }
            ],
        }
        raise error


def check_delete(kind: Kind, name: str) -> None:
    """Refuse to delete the namespaces a cluster cannot be without."""
    if kind is kinds.NAMESPACE and name in _IMMORTAL:
        raise status.forbidden(kind, name, "this namespace may not be deleted")


def admit_pod(store: Store, pod: Object) -> None:
    """Fill in what admission gives every new pod, in place. Raises ApiError 403."""
    _runtime_class(pod)
    _service_account(store, pod)
    _tolerations(pod["spec"])
    priorities.admit_pod(store, pod)


def check_pod(pod: Object) -> None:
    """What is refused of a valid pod: an overhead, which only a RuntimeClass can give. Raises ApiError 403."""
    if pod["spec"].get("overhead") is not None:
        why = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
        raise status.forbidden(kinds.POD, pod["metadata"].get("name", ""), why)


def admit_pod_update(new: Object, old: Object) -> None:
    """What an update that leaves it out does not take from a pod, in place: `kubectl replace` sends its file again."""
    for name in ("priority", "preemptionPolicy"):
        if new["spec"].get(name) is None and name in old["spec"]:
            new["spec"][name] = old["spec"][name]
    _tolerations(new["spec"])


def _runtime_class(pod: Object) -> None:
    """There are no RuntimeClasses in a lab, so that a pod that names one names one that is missing."""
    if name := pod["spec"].get("runtimeClassName"):
        why = f'pod rejected: RuntimeClass "{name}" not found'
        raise status.forbidden(kinds.POD, pod["metadata"].get("name", ""), why)


def _service_account(store: Store, pod: Object) -> None:
    spec, namespace = pod["spec"], pod["metadata"]["namespace"]
    name = spec.get("serviceAccountName") or "default"
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    account = store.get(kinds.SERVICE_ACCOUNT.group_resource, ObjectKey(namespace, name))
    if account is None:
        why = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
        raise status.forbidden(kinds.POD, pod["metadata"].get("name", ""), why)
    if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
        spec["imagePullSecrets"] = account["imagePullSecrets"]
    wanted = spec.get("automountServiceAccountToken")
    if wanted is None:
        wanted = account.get("automountServiceAccountToken", True)
    if wanted:
        _mount_token(spec)


def _mount_token(spec: Object) -> None:
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    missing = [c for c in containers if all(m.get("mountPath") != TOKEN_PATH for m in c.get("volumeMounts") or ())]
    if not missing:
        return
    volume = next((v["name"] for v in spec.get("volumes") or () if v["name"].startswith("kube-api-access-")), "")
    if not volume:
        volume = f"kube-api-access-{random_suffix()}"
        spec["volumes"] = [*(spec.get("volumes") or ()), {"name": volume, "projected": _projection()}]
    for container in missing:
        mount = {"name": volume, "readOnly": True, "mountPath": TOKEN_PATH}
        container["volumeMounts"] = [*(container.get("volumeMounts") or ()), mount]


def _projection() -> Object:
    field_ref = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    return {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": field_ref}]}},
        ],
        "defaultMode": 420,
    }


def _tolerations(spec: Object) -> None:
    present = spec.get("tolerations") or []
    added = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        for key in _TOLERATIONS
        if not any(t.get("key") in (key, None) and t.get("effect") in ("NoExecute", None) for t in present)
    ]
    if added:
        spec["tolerations"] = [*present, *added]
