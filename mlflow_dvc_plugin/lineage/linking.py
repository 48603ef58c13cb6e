"""Make hard links of objects straight in their places, and prove them there.

Nothing is replaced. An object that somebody may write to is not linked, or does not stay so.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping

from mlflow_dvc_plugin.capture.known import KEY, NONE, Key, folder_at, key_at
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.lineage.readback import AT_ONCE, Reader
from mlflow_dvc_plugin.lineage.shelf import Shelf
from mlflow_dvc_plugin.lineage.standing import MovedError

_WRITABLE = 0o222
_New = tuple[str, str, Key]  # relative path, md5, what is known of the object


def link_known(  # noqa: PLR0913, PLR0917
    target: str, rows: Mapping[str, str], shelf: Shelf, legacy: bool, placed: dict[str, Key],
    reader: Reader | None,
) -> list[str]:  # fmt: skip
    """Link the objects of ``rows`` (relative path -> md5) that are known; return those left.

    What is in place in the folder ``target`` is noted in ``placed``, which is empty. Each is looked
    at once it is linked, by the ``reader`` where there is one: raises MovedError at one that is not
    as it was known, MlflowDvcError at a place that is taken.
    """
    keys = map(shelf.keys[legacy].get, rows.values())
    known = (
        (name, md5, key) for (name, md5), key in zip(rows.items(), keys, strict=True)
        if key and not key[3] & _WRITABLE
    )  # fmt: skip
    for block in _linked(known, shelf.roots[legacy], target, placed, look=not reader):
        if reader:
            reader.look(target, [new[:2] for new in block])
    if reader and (told := reader.told()) != [*placed.values()]:
        # Where it says something else, or is gone, this process has the last word.
        pairs = zip(placed.items(), told, strict=True)
        _require_same(target, {name: key for (name, key), now in pairs if now != key})
    return [name for name in rows if name not in placed] if len(placed) < len(rows) else []


def _require_same(target: str, keys: Mapping[str, Key]) -> None:
    if any(key_at(f"{target}/{name}", follow=False) != key for name, key in keys.items()):
        raise MovedError


def link_unread(
    target: str, rows: Mapping[str, str], shelf: Shelf, placed: dict[str, Key], reader: Reader
) -> None:
    """Link objects that nobody has read, and have each read in its place.

    What ``reader`` is not for is read here. Raises MovedError where anything is not sound, or
    cannot be linked.
    """
    objects = shelf.roots[False]
    unread = ((*row, NONE) for row in rows.items())
    for block in _linked(unread, objects, target, placed, look=False):
        reader.read(objects, target, [new[:2] for new in block])
    if len(placed) < len(rows):
        raise MovedError
    keys = reader.told()
    placed.update(zip(rows, keys, strict=True))
    shelf.have_read(dict(zip(rows.values(), keys, strict=True)))
    left = [name for name, key in placed.items() if key == NONE] if NONE in keys else []
    if shelf.unsound({rows[name] for name in left}, legacy=False):
        shelf.keep()  # the next try need not read the others again
        raise MovedError
    here = {name: shelf.keys[False][rows[name]] for name in left}
    placed.update(here)
    _require_same(target, here)
    if any(key[3] & _WRITABLE for key in placed.values()):
        raise MovedError


def _linked(
    news: Iterable[_New], objects: str, target: str, placed: dict[str, Key], *, look: bool
) -> Iterator[list[_New]]:
    """Link them; yield those that are in place, so many at once. It ends where none can be linked.

    Raises MlflowDvcError at a place that is taken, MovedError at what is not as it was known: to
    ``look`` at each right here is quicker than later.
    """
    left, link, stat, name = iter(news), os.link, os.stat, ""
    block: list[_New] = []
    with folder_at(objects) as (here, start), folder_at(target) as (there, top):
        try:
            while block := list(itertools.islice(left, AT_ONCE)):
                for name, md5, key in block:  # every step counts
                    placed[name] = key  # whatever comes in between: it is ours
                    link(
                        f"{start}{md5[:2]}/{md5[2:]}", top + name,
                        src_dir_fd=here, dst_dir_fd=there,
                    )  # fmt: skip
                    if look and KEY(stat(top + name, dir_fd=there, follow_symlinks=False)) != key:
                        raise MovedError
                yield block
        except FileExistsError as error:
            del placed[name]
            raise taken(f"{target}/{name}") from error
        except (OSError, NotImplementedError):
            placed.pop(name, None)  # the file system does not have it, or not for this one
            yield [new for new in block if new[0] in placed]


def taken(path: str) -> MlflowDvcError:
    """Return the error about a place that is not free."""
    return MlflowDvcError(f"{path} is there already, and is no part of the data")
