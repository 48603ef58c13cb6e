"""Put a run's data into a folder that was made for it, and check what is there by its hashes.

Nothing in that folder is ever replaced: a place that is taken is an error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mlflow_dvc_plugin.capture import datafiles, hashing
from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.lineage.needs import Need
from mlflow_dvc_plugin.lineage.shelf import Shelf
from mlflow_dvc_plugin.lineage.verified import Mark, mark_of
from mlflow_dvc_plugin.sync.bounds import behind_link, refusal
from mlflow_dvc_plugin.sync.placing import New, Workshop, can_share

_NEVER = Deadline(None)


@dataclass
class Put:
    """Files as they were put in place: absolute path -> what changes when they are written to."""

    files: dict[str, Mark | None] = field(default_factory=dict)


def misplaced(need: Need, folder: str) -> str | None:
    """Return why the piece cannot be brought back into the folder; looks at names only."""
    if os.path.isabs(need.path) or "://" in need.path:
        return "it lies outside the repository"
    if "\0" in need.path or ".." in need.path.replace("\\", "/").split("/"):
        return "its path leads out of the repository"
    return refusal(os.path.join(folder, need.path), os.path.join(folder, need.root))


def put(folder: str, shelf: Shelf, needs: Collection[Need], how: Links, done: Put) -> None:
    """Put the pieces below ``folder``; raises MlflowDvcError, OSError at the first that cannot be.

    Their objects are in the ``shelf`` and sound. What is in place is noted in ``done`` as it comes.
    """
    with Workshop(how.scratch, how.types) as shop:
        for need in needs:
            if reason := misplaced(need, folder):
                raise MlflowDvcError(f"{need.path}: {reason}")
            target = os.path.join(folder, need.path)
            rows = _rows(need, shelf)
            _make_folders(need, target, rows, folder)
            _files(shop, target, rows, shelf, need, how, done.files)


def _files(  # noqa: PLR0913, PLR0917
    shop: Workshop, target: str, rows: Mapping[str, str], shelf: Shelf, need: Need, how: Links,
    files: dict[str, Mark | None],
) -> None:  # fmt: skip
    executable, kind = need.path in how.executable, how.types[0]
    link = None if executable else _LINK.get(kind)
    marks, path_of, legacy = shelf.marks, shelf.path, need.legacy
    for relpath, md5 in rows.items():  # 20,000 of them: every call counts
        path = f"{target}/{relpath}" if relpath else target
        source = path_of(md5, legacy)
        mark = marks.get(source)
        if mark is not None and link is not None:
            try:
                link(source, path)
            except FileExistsError as error:
                raise _taken(path) from error
            except (OSError, NotImplementedError):
                link = None  # the file system does not have it
            else:
                files[path] = mark
                continue
        _one(shop, New(path, source, md5, hashing.scheme_of(legacy), executable), kind)
        files[path] = mark_at(path)


# Straight to the place: they fail when anything is there.
_LINK: Mapping[str, Callable[[str, str], None]] = {"hardlink": os.link, "symlink": os.symlink}


def _taken(path: str) -> MlflowDvcError:
    return MlflowDvcError(f"{path} is there already, and is no part of the data")


def _make_folders(need: Need, target: str, rows: Mapping[str, str], top: str) -> None:
    """Make the folders of the piece; raises MlflowDvcError where a link stands in the way."""
    folders = {f"{target}/{above}" for above in {_above(name) for name in rows if name}}
    if reason := behind_link({*(f"{one}/file" for one in folders), target}, top, ()):
        raise MlflowDvcError(f"{need.path}: {reason}")
    if need.hash.endswith(".dir"):
        folders.add(target)  # an empty directory is data, too
    for above in sorted(folders or {os.path.dirname(target)}):
        os.makedirs(above, exist_ok=True)


@dataclass(frozen=True)
class Links:
    """``types`` of links as in DVC's ``cache.type``; the paths of ``executable`` files.

    ``scratch`` is a folder on the file system of the data.
    """

    scratch: str
    types: tuple[str, ...]
    executable: Collection[str] = ()


def _rows(need: Need, shelf: Shelf) -> Mapping[str, str]:
    """Return relative path -> md5, "" for a piece that is a file."""
    if not need.hash.endswith(".dir"):
        return {"": need.hash}
    rows = shelf.listing(need.hash, need.legacy)
    if rows is None:
        raise MlflowDvcError(f"{need.path}: its listing is not in the cache any more")
    return rows


def _above(relpath: str) -> str:
    return relpath.rpartition("/")[0]


def _linked(source: str, path: str, kind: str) -> bool:
    """Link straight to the place where that is asked for."""
    if kind not in _LINK:
        return False
    try:
        _LINK[kind](source, path)
    except FileExistsError as error:
        raise _taken(path) from error
    except (OSError, NotImplementedError):
        return False  # the file system does not have it
    return True


def _one(shop: Workshop, new: New, kind: str) -> None:
    if kind in _LINK and can_share(new) and _linked(new.source, new.path, kind):
        return
    if os.path.lexists(new.path):
        raise _taken(new.path)
    shop.swap(None, shop.make(new), new.path)


def mark_at(path: str) -> Mark | None:
    """Return the mark of the file, of what it leads to when it is a link; None when it is gone."""
    try:
        return mark_of(os.stat(path))
    except OSError:
        return None


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
    if rows is None:
        if _directory_hash(root, target, need.legacy) != need.hash:
            yield f"{need.path} is not what the run's tag says ({need.hash})"
        return
    there = set(_data_files(root, target))
    for relpath in sorted(rows.keys() ^ there) if rows.keys() != there else ():
        what = "is missing" if relpath in rows else "is no part of the run's data"
        yield f"{need.path}/{relpath} {what}"
    for relpath in _moved(target, rows.keys() & there, done):
        if not _reads(f"{target}/{relpath}", rows[relpath], need.legacy):
            yield f"{need.path}/{relpath} is not what the run's data says ({rows[relpath]})"


def _moved(target: str, relpaths: Iterable[str], done: Put | None) -> Iterable[str]:
    """Return those that do not stand as they were put there, or were not put there at all."""
    if done is None:
        return relpaths
    left, files, stat = [], done.files, os.stat
    for relpath in relpaths:  # 20,000 of them: every call counts
        path = f"{target}/{relpath}"
        try:
            info = stat(path)
        except OSError:
            left.append(relpath)
            continue
        if files.get(path) != (info.st_ino, info.st_size, info.st_mtime_ns):
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
