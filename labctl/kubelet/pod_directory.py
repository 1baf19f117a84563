"""A pod's files on the kubelet's own disk.

The control plane's state volume holds them; app containers see them through bind mounts of that volume's folders, as
a kubelet's pods see /var/lib/kubelet. So a change of a ConfigMap reaches running containers by writing one folder,
emptyDir outlives a container's restart, and a termination message is a file to read.

    UID/etc-hosts, UID/resolv.conf
    UID/volumes/NAME/              emptyDir: plain; otherwise `..data` -> `..TIME`, and one link per file into `..data`
    UID/containers/NAME/ATTEMPT    the file mounted at terminationMessagePath
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from labctl.kubelet.volumes import EmptyDir, File, MountError, Payload

MAX_TERMINATION_MESSAGE = 4096


class PodDirectory:
    """The files of the pod with this uid; `prefix` is the folder's path within the Docker volume."""

    def __init__(self, root: Path, uid: str, *, prefix: str) -> None:
        self.path = root / uid
        self._prefix = f"{prefix}/{uid}" if prefix else uid

    def subpath(self, *parts: str) -> str:
        """Path of a file or folder within the Docker volume."""
        return "/".join((self._prefix, *parts))

    def write_etc(self, *, hosts: str, resolv_conf: str) -> None:
        """Write the two files every container of the pod has mounted; in place, because mounts follow the inode."""
        self.path.mkdir(parents=True, exist_ok=True)
        for name, text in (("etc-hosts", hosts), ("resolv.conf", resolv_conf)):
            file = self.path / name
            if not file.exists() or file.read_text() != text:
                file.write_text(text)
                file.chmod(0o644)

    def write_volume(self, name: str, content: EmptyDir | Payload, *, group: int | None) -> None:
        """Create or update a volume; `group` is the pod's fsGroup."""
        folder = self.path / "volumes" / name
        if isinstance(content, EmptyDir):
            if not folder.exists():
                folder.mkdir(parents=True)
                _give_to(folder, group, 0o777)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            write_payload(folder, content.files, group=group)

    def ensure_subpath(self, name: str, subpath: str) -> None:
        """Make sure that a volumeMount's subPath exists and stays inside its volume. Raises MountError."""
        folder = self.path / "volumes" / name
        target = folder / subpath
        if not target.exists():
            target.mkdir(parents=True, exist_ok=True)
        if not target.resolve().is_relative_to(folder.resolve()):
            raise MountError(f'failed to prepare subPath for volumeMount "{name}": it leads out of the volume')

    def new_termination_log(self, container: str, attempt: int) -> str:
        """Create the file for a container's last words; returns its path within the Docker volume."""
        file = self.path / "containers" / container / str(attempt)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o666)
        file.chmod(0o666)  # the container may run as anybody
        return self.subpath("containers", container, str(attempt))

    def termination_message(self, container: str, attempt: int) -> str:
        """What the container wrote before it ended, at most 4096 bytes."""
        try:
            with (self.path / "containers" / container / str(attempt)).open("rb") as file:
                return file.read(MAX_TERMINATION_MESSAGE).decode(errors="replace")
        except OSError:
            return ""

    def forget_termination_log(self, container: str, attempt: int) -> None:
        """Remove the file of a container that is gone."""
        (self.path / "containers" / container / str(attempt)).unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove everything; what is in use or gone already does not matter."""
        shutil.rmtree(self.path, ignore_errors=True)


def write_payload(folder: Path, files: Mapping[str, File], *, group: int | None = None) -> bool:
    """Replace the files of a volume in one step, as readers see it. Returns whether anything changed."""
    link = folder / "..data"
    old = folder / link.readlink() if link.is_symlink() else None
    if old is not None and _read(old) == {path: file.data for path, file in files.items()}:
        return False
    new = Path(tempfile.mkdtemp(prefix="..", dir=folder))
    new.chmod(0o755)
    for path, file in files.items():
        _write_file(new / _inside(path), file, group)
    _replace_link(link, new.name)
    wanted = {PurePosixPath(path).parts[0] for path in files}
    for entry in folder.iterdir():
        if entry.is_symlink() and entry.name != "..data" and entry.name not in wanted:
            entry.unlink()
    for name in wanted:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)
    return True


def _inside(path: str) -> str:
    if path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise MountError(f"invalid path, must be relative and without '..': {path}")
    return path


def _write_file(path: Path, file: File, group: int | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.data)
    _give_to(path, group, file.mode | (0o440 if group is not None else 0))


def _give_to(path: Path, group: int | None, mode: int) -> None:
    if group is not None:
        os.chown(path, -1, group)
        mode |= 0o2000 if path.is_dir() else 0
    path.chmod(mode)


def _replace_link(link: Path, target: str) -> None:
    fresh = link.with_name("..data_tmp")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.rename(link)


def _read(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}
