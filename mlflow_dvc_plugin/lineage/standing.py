"""What stands of the data that was put into a folder, compared with the run's hashes."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from mlflow_dvc_plugin.capture import datafiles, hashing
from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.capture.known import AS_DVC, KEY, NONE, Key
from mlflow_dvc_plugin.lineage.needs import Need
from mlflow_dvc_plugin.lineage.shelf import Shelf

# Inode, size in bytes, mtime in ns: what changes when the file is written to, and stays when it
# gets another name.
Mark = tuple[int, int, int]

_NEVER = Deadline(None)


class MovedError(Exception):
    """An object is not what it was known to be: each has to be looked at."""


@dataclass
class Put:
    """Files as they were put in place: absolute path -> what changes when they are written to.

    ``inside`` are those of directories, hard links or copies: the directory's path -> relative path
    -> what ``stat`` said of it.
    """

    files: dict[str, Mark | None] = field(default_factory=dict)
    inside: dict[str, dict[str, Key]] = field(default_factory=dict)

    def all(self) -> dict[str, Mark | None]:
        """Return the marks of all of them by absolute path."""
        linked = {
            f"{target}/{name}": key[:3]
            for target, placed in self.inside.items()
            for name, key in placed.items()
        }
        return {**linked, **self.files}


def mark_at(path: str) -> Mark | None:
    """Return the mark of the file, of what it leads to when it is a link; None when it is gone."""
    try:
        info = os.stat(path)
    except OSError:
        return None
    return info.st_ino, info.st_size, info.st_mtime_ns


def differences(
    folder: str, root: str, shelf: Shelf | None, need: Need, done: Put | None
) -> Iterator[str]:
    """Yield what is on disk other than the run's tags say; nothing when all is as they say.

    A file that stands as it was put there has the hash of its object; every other one is read.
    """
    target = os.path.join(folder, need.path)
    if not need.hash.endswith(".dir"):
        if not _has(target, need.hash, need.legacy, done):
            yield f"{need.path} is not what the run's tag says ({need.hash})"
        return
    rows = shelf.listing(need.hash, need.legacy) if shelf else None
    if rows is None or shelf is None:
        if _directory_hash(root, target, need.legacy) != need.hash:
            yield f"{need.path} is not what the run's tag says ({need.hash})"
        return
    if _all_stand(root, target, rows, done.inside.get(target, {}) if done else {}):
        return
    there = set(_data_files(root, target))
    for relpath in sorted(rows.keys() ^ there) if rows.keys() != there else ():
        what = "is missing" if relpath in rows else "is no part of the run's data"
        yield f"{need.path}/{relpath} {what}"
    for relpath in _moved(target, rows.keys() & there, done):
        if not _reads(f"{target}/{relpath}", rows[relpath], need.legacy):
            yield f"{need.path}/{relpath} is not what the run's data says ({rows[relpath]})"


def renew(folder: str, shelf: Shelf, need: Need, done: Put, *, moved: bool) -> None:
    """Note how the links stand now of which nothing was known yet; they are still ours.

    With ``moved`` also those of which only the record had told. They are links to what is in the
    cache: nobody loses a byte when they are taken away.
    """
    target = os.path.join(folder, need.path)
    rows, placed = shelf.listing(need.hash, need.legacy), done.inside.get(target, {})
    if rows is None:
        return
    for name, key in placed.items():
        if not (moved or key == NONE):
            continue
        with suppress(OSError, ValueError):  # a name that cannot be, too
            info = os.stat(f"{target}/{name}", follow_symlinks=False)
            own = os.stat(shelf.path(rows[name], need.legacy))
            if KEY(info) != key and os.path.samestat(info, own):
                placed[name] = KEY(info)


def _all_stand(root: str, target: str, rows: Mapping[str, str], placed: Mapping[str, Key]) -> bool:
    """Tell whether all files are those that were put there, and no other is there.

    False when anything is not as expected: then the long way tells what.
    """
    if len(placed) != len(rows) or not rows:
        return False
    if datafiles.patterns_above(os.path.dirname(target), root):
        return False
    try:
        found = _names(target, {name.rpartition("/")[0] for name in rows if "/" in name})
        # Anybody may have written to a copy since; a link to an object is read-only.
        copies = {name: key for name, key in placed.items() if key[3] != AS_DVC}
        if any(KEY(os.lstat(f"{target}/{name}")) != key for name, key in copies.items()):
            return False
    except OSError:
        return False
    # No name is there twice.
    return found is not None and len(found) == len(rows) and all(map(rows.__contains__, found))


def _names(target: str, above: Collection[str]) -> list[str] | None:
    """Return the files' relative paths, None when a folder is there that is not expected.

    ``above`` are the folders that hold files.
    """
    found: list[str] = []
    folders = {end for name in above for end in _with_above(name)}
    for folder in ("", *sorted(folders)):
        inside = os.listdir(f"{target}/{folder}")
        if ".dvcignore" in inside:
            return None  # DVC refuses the directory
        found += (f"{folder}/{name}" for name in inside) if folder else inside
    if not folders:
        return found
    if not folders <= {*found} or any(os.path.islink(f"{target}/{one}") for one in folders):
        return None
    return [name for name in found if name not in folders]


def _with_above(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition("/")[0]


def _moved(target: str, relpaths: Iterable[str], done: Put | None) -> Iterable[str]:
    """Return those that do not stand as they were put there, or were not put there at all."""
    if done is None:
        return relpaths
    files, placed = done.files, done.inside.get(target, {})
    left = []
    for relpath in relpaths:
        path = f"{target}/{relpath}"
        key = placed.get(relpath)
        mark = key[:3] if key else files.get(path)
        if mark is None or mark != mark_at(path):
            left.append(relpath)
    return left


def _data_files(root: str, target: str) -> Iterable[str]:
    ignored = bool(datafiles.patterns_above(os.path.dirname(target), root))
    try:
        for name in datafiles.data_files(root, target, ignored, _NEVER):
            yield name.replace(os.sep, "/")
    except (OSError, ValueError):
        return


def _directory_hash(root: str, target: str, legacy: bool) -> str | None:
    """Hash a directory of which DVC keeps no listing (``cache: false``)."""
    scheme = hashing.scheme_of(legacy)
    try:
        return hashing.directory_hash(
            (name, hashing.file_md5(os.path.join(target, name), scheme, _NEVER)[0])
            for name in _data_files(root, target)
        )
    except (OSError, ValueError):
        return None


def _has(path: str, value: str, legacy: bool, done: Put | None) -> bool:
    if done is not None and (mark := done.files.get(path)) and mark == mark_at(path):
        return True
    return _reads(path, value, legacy)


def _reads(path: str, value: str, legacy: bool) -> bool:
    try:
        return hashing.file_md5(path, hashing.scheme_of(legacy), _NEVER)[0] == value
    except (OSError, ValueError):
        return False
