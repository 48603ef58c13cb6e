"""Put a run's data into a folder that was made for it.

Nothing in that folder is ever replaced: a place that is taken is an error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from mlflow_dvc_plugin.capture import hashing
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.lineage.copying import copy_files
from mlflow_dvc_plugin.lineage.linking import link_known, link_unread, taken
from mlflow_dvc_plugin.lineage.needs import Need
from mlflow_dvc_plugin.lineage.readback import Reader
from mlflow_dvc_plugin.lineage.shelf import Shelf
from mlflow_dvc_plugin.lineage.standing import MovedError, Put, mark_at
from mlflow_dvc_plugin.sync.bounds import behind_link, refusal
from mlflow_dvc_plugin.sync.placing import New, Workshop, can_share


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
        # What is read in one directory may lie in another, too.
        for need in sorted(needs, key=lambda need: need.hash not in shelf.unread):
            if reason := misplaced(need, folder):
                raise MlflowDvcError(f"{need.path}: {reason}")
            target = os.path.join(folder, need.path)
            rows = _rows(need, shelf)
            try:
                _make_folders(need, target, rows, folder)
                _files(shop, target, rows, shelf, need, how, done)
            except UnicodeEncodeError as error:
                text = f"{need.path}: a name in it cannot be written here: {error.object!r}"
                raise MlflowDvcError(text, "in another locale: LC_ALL=C.UTF-8") from error


def _files(  # noqa: PLR0913, PLR0917
    shop: Workshop, target: str, rows: Mapping[str, str], shelf: Shelf, need: Need, how: Links,
    done: Put,
) -> None:  # fmt: skip
    """Put the files in place; those that may be linked go straight there."""
    executable, kind = need.path in how.executable, how.types[0]
    left: Iterable[str] = rows
    if kind == "copy" and need.hash.endswith(".dir") and not need.legacy:
        placed = done.inside.setdefault(target, {})
        left = copy_files(target, rows, shelf.roots[False], placed, executable=executable)
    elif kind == "hardlink" and not executable and "" not in rows:
        placed = done.inside.setdefault(target, {})
        if how.reader and need.hash in shelf.unread and not need.legacy:
            link_unread(target, rows, shelf, placed, how.reader)
            left = ()
        else:
            left = link_known(target, rows, shelf, need.legacy, placed, how.reader)
    if not left:
        shelf.unsure[need.legacy].difference_update(rows.values())
    elif "" not in rows and not shelf.unsure[need.legacy].isdisjoint(rows.values()):
        raise MovedError  # a copy has no key that would tell
    for relpath in left:
        path = f"{target}/{relpath}" if relpath else target
        md5 = rows[relpath]
        source = shelf.path(md5, need.legacy)
        _one(shop, New(path, source, md5, hashing.scheme_of(need.legacy), executable), kind)
        done.files[path] = mark_at(path)
        known = shelf.keys[need.legacy].get(md5)
        if known and kind != "copy" and mark_at(source) != known[:3]:
            raise MovedError  # copies are compared as they are made, links are not


# Straight to the place: they fail when anything is there.
# An object that is a symbolic link itself may be a relative one, which leads nowhere from there.
_LINK: Mapping[str, Callable[[str, str], None]] = {
    "hardlink": lambda source, path: os.link(os.path.realpath(source), path),
    "symlink": os.symlink,
}


def _make_folders(need: Need, target: str, rows: Mapping[str, str], top: str) -> None:
    """Make the folders of the piece; raises MlflowDvcError where a link stands in the way."""
    folders = {os.path.dirname(target)}
    if need.hash.endswith(".dir"):  # an empty one is data, too
        above = set(map(_above, rows)) if "/" in "".join(rows) else ()
        folders = {os.path.normpath(f"{target}/{one}") for one in ("", *above)}
    if reason := behind_link((f"{one}/file" for one in folders), top, ()):
        raise MlflowDvcError(f"{need.path}: {reason}")
    for one in sorted(folders):
        os.makedirs(one, exist_ok=True)


@dataclass(frozen=True)
class Links:
    """``types`` of links as in DVC's ``cache.type``; the paths of ``executable`` files.

    ``scratch`` is a folder on the file system of the data; ``reader`` is for what is unread.
    """

    scratch: str
    types: tuple[str, ...]
    executable: Collection[str] = ()
    reader: Reader | None = None


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
        raise taken(path) from error
    except (OSError, NotImplementedError):
        return False  # the file system does not have it
    return True


def _one(shop: Workshop, new: New, kind: str) -> None:
    if kind in _LINK and can_share(new) and _linked(new.source, new.path, kind):
        return
    if os.path.lexists(new.path):
        raise taken(new.path)
    shop.swap(None, shop.make(new), new.path)
