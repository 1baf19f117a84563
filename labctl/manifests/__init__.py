"""Manifests: files, folders, URLs and standard input as Kubernetes objects that know where they stand.

for document in manifests.read(["lab.yaml", "services/", "-"], recursive=True):
    print(document.where, document.object["kind"])
"""

from labctl.manifests.documents import Document, ManifestError, parse
from labctl.manifests.sources import read

__all__ = ["Document", "ManifestError", "parse", "read"]
