"""Make hard links of objects straight in their places, and prove them there.

Nothing is replaced. An object that somebody may write to is not linked, or does not stay so.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping

from mlflow_dvc_plugin.capture.known import KEY, NONE, Key, folder_at, key_at
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.lineage.readback import AT_ONCE, Reader
from mlflow_dvc_plugin.lineage.shelf import Shelf
from mlflow_dvc_plugin.lineage.standing import MovedError

_WRITABLE = 0o222


def link_known(
    target: str, rows: Mapping[str, str], shelf: Shelf, legacy: bool, placed: dict[str, Key]
) -> list[str]:
    """Link the objects of ``rows`` (relative path -> md5) that are known; return those left.

    What is in place in the folder ``target`` is noted in ``placed``. Each is looked at once it is
    linked: raises MovedError at one that is not as it was known, MlflowDvcError at a place that is
    taken.
    """
    keys = map(shelf.keys[legacy].get, rows.values())
    link, look, name = os.link, os.stat, ""
    with folder_at(shelf.roots[legacy]) as (here, start), folder_at(target) as (there, top):
        try:
            for (name, md5), key in zip(rows.items(), keys, strict=True):  # every step counts
                if not key or key[3] & _WRITABLE:
                    continue
                place = top + name
                placed[name] = key  # whatever comes in between: it is ours
                link(
                    f"{start}{md5[:2]}/{md5[2:]}", place, src_dir_fd=here, dst_dir_fd=there,
                )  # fmt: skip
                if KEY(look(place, dir_fd=there)) != key:
                    raise MovedError
        except FileExistsError as error:
            del placed[name]
            raise taken(f"{target}/{name}") from error
        except (OSError, NotImplementedError):
            placed.pop(name, None)  # the file system does not have it, or not for this one
    return [name for name in rows if name not in placed] if len(placed) < len(rows) else []


def link_unread(
    target: str, rows: Mapping[str, str], shelf: Shelf, placed: dict[str, Key], reader: Reader
) -> None:
    """Link objects that nobody has read, and have each read in its place.

    What ``reader`` is not for is read here. Raises MovedError where anything is not sound, or
    cannot be linked.
    """
    _link_all(target, rows, shelf, placed, reader)
    keys = reader.told()
    placed.update(zip(rows, keys, strict=True))
    shelf.have_read(dict(zip(rows.values(), keys, strict=True)))
    left = [name for name, key in placed.items() if key == NONE] if NONE in keys else []
    if shelf.unsound({rows[name] for name in left}, legacy=False):
        shelf.keep()  # the next try need not read the others again
        raise MovedError
    for name in left:
        placed[name] = shelf.keys[False][rows[name]]
        if key_at(f"{target}/{name}", follow=False) != placed[name]:
            raise MovedError
    if any(key[3] & _WRITABLE for key in placed.values()):
        raise MovedError


def _link_all(
    target: str, rows: Mapping[str, str], shelf: Shelf, placed: dict[str, Key], reader: Reader
) -> None:
    left, link, name = iter(rows.items()), os.link, ""
    with folder_at(shelf.roots[False]) as (here, start), folder_at(target) as (there, top):
        try:
            while block := list(itertools.islice(left, AT_ONCE)):
                for name, md5 in block:
                    placed[name] = NONE
                    link(
                        f"{start}{md5[:2]}/{md5[2:]}", top + name,
                        src_dir_fd=here, dst_dir_fd=there,
                    )  # fmt: skip
                reader.read(shelf.roots[False], target, block)
        except FileExistsError as error:
            del placed[name]
            raise taken(f"{target}/{name}") from error
        except OSError:
            raise MovedError from None


def taken(path: str) -> MlflowDvcError:
    """Return the error about a place that is not free."""
    return MlflowDvcError(f"{path} is there already, and is no part of the data")
