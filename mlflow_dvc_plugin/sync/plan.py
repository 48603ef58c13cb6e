"""Which files of an output have to change, decided before any of them is touched.

An output is changed whole or not at all. A file may only go when its bytes are in the cache *and*
it belongs to a version of the data: what lies in a data folder without being part of it stays.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

from mlflow_dvc_plugin.capture import fingerprint, hashing
from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.capture.fingerprint import Fingerprint
from mlflow_dvc_plugin.provenance import OutputState
from mlflow_dvc_plugin.sync.bounds import behind_link
from mlflow_dvc_plugin.sync.objects import Cache
from mlflow_dvc_plugin.sync.placing import New, Old, Workshop, remove_empty

_FEW = 100  # files
_SMALL = 16 << 20  # bytes


class CannotSyncError(Exception):
    """Why an output stays as it is; ``pull`` tells that its bytes are not in the cache here."""

    def __init__(
        self, text: str, *, pull: bool = False, unsaved: bool = False, hint: str = ""
    ) -> None:
        super().__init__(text)
        self.pull = pull
        self.unsaved = unsaved
        self.hint = hint


class Plan:
    """``pairs`` are (what goes, what comes) for each place; ``folders`` may be left empty.

    ``of_versions``: one version of a directory becomes another, with nothing else in it.
    """

    def __init__(self) -> None:
        self.pairs: list[tuple[Old | None, New | None]] = []
        self.folders: set[str] = set()
        self.of_versions = False

    @property
    def places(self) -> set[str]:
        """The places that change."""
        return {one.path for pair in self.pairs for one in pair if one is not None}


class Target(NamedTuple):
    """What an output is to become: its hash (None: nothing), at an absolute path."""

    path: str
    hash: str | None
    scheme: str
    executable: bool = False

    @property
    def isdir(self) -> bool:
        """Tell whether it is to be a folder."""
        return self.hash is not None and self.hash.endswith(".dir")


def plan(  # noqa: PLR0913, PLR0917
    target: Target, state: OutputState | None, present: Mapping[str, str] | None,
    wanted: Mapping[str, str], old: Cache, new: Cache,
) -> Plan:  # fmt: skip
    """Compare what is there with what is to be; raises CannotSyncError when it must stay.

    ``present`` is relative path -> md5 of the files that are part of the data now ("" for a file
    output), None when nothing is there, and ``wanted`` of those to come; both may leave out what
    they have in common. ``old`` and ``new`` are the caches of the two versions.
    """
    found = Plan()
    have = dict(present or {})
    scheme = state.output.scheme if state else target.scheme
    same = scheme == target.scheme
    changed = have.items() ^ wanted.items() if same else [*have.items(), *wanted.items()]
    for rel in sorted({rel for rel, _ in changed}):
        place = os.path.join(target.path, rel) if rel else target.path
        goes = _old(place, have[rel], scheme, old) if rel in have else None
        comes = _new(place, wanted[rel], target, new) if rel in wanted else None
        if goes is None and os.path.lexists(place) and not _becomes_folder(place, rel, have):
            raise CannotSyncError(f"{place} is there and no part of the data", unsaved=True)
        found.pairs.append((goes, comes))
    found.folders = {os.path.dirname(old.path) for old, _ in found.pairs if old} - {
        os.path.dirname(target.path)
    }
    found.pairs.sort(key=lambda pair: pair[1] is not None)  # what only goes, goes first
    return found


def _becomes_folder(place: str, rel: str, have: Mapping[str, str]) -> bool:
    """Tell whether the folder at the place of a file to come holds nothing that stays."""
    if rel or not os.path.isdir(place) or os.path.islink(place):
        return False
    there = {
        os.path.relpath(os.path.join(folder, name), place).replace(os.sep, "/")
        for folder, folders, names in os.walk(place)
        for name in [*names, *(one for one in folders if os.path.islink(f"{folder}/{one}"))]
    }
    return there <= have.keys()


def wanted_rows(target: Target, cache: Cache) -> Mapping[str, str]:
    """Return relative path -> md5 of what is to come; raises CannotSyncError."""
    if target.hash is None:
        return {}
    if not target.hash.endswith(".dir"):
        return {"": target.hash}
    listing = cache.listing(target.hash, target.scheme)
    if listing is None:
        raise CannotSyncError("its listing is not in the cache", pull=True)
    return listing


def _old(place: str, md5: str, scheme: str, cache: Cache) -> Old:
    try:
        info = os.stat(place)
    except OSError as error:
        raise CannotSyncError(f"{place} cannot be looked at ({error.strerror})") from error
    size = info.st_size if scheme == "md5" else None
    if not cache.holds(md5, scheme, size):
        raise CannotSyncError("it has changes that are in no cache", unsaved=True)
    return Old(place, hashing.identity(info), md5)


def _new(place: str, md5: str, target: Target, cache: Cache) -> New:
    if not cache.holds(md5, target.scheme):
        raise CannotSyncError("its bytes are not in the cache", pull=True)
    source = cache.path(md5, target.scheme)
    return New(place, source, md5, target.scheme, target.executable)


def require_inside(found: Plan, target: Target, toplevel: str) -> None:
    """Raise CannotSyncError when a symbolic link leads to a place that would be changed."""
    going = {old.path for old, _ in found.pairs if old is not None}
    if reason := behind_link({*found.places, target.path}, toplevel, going):
        raise CannotSyncError(reason)


def require_untracked(found: Plan, target: Target, toplevel: str, tracked: Set[str]) -> None:
    """Raise CannotSyncError when a file that would be changed is Git's as well."""
    if not tracked:
        return
    for place in sorted(found.places):
        name = os.path.relpath(place, toplevel).replace(os.sep, "/")
        if name in tracked:
            path = shlex.quote(os.path.relpath(target.path, toplevel).replace(os.sep, "/"))
            raise CannotSyncError(
                f"Git tracks {name} as well", hint=f"git rm --cached -r -- {path}"
            )


def is_unchanged(found: Plan, path: str, seen: Fingerprint | None, scheme: str) -> bool:
    """Tell whether what was hashed is what goes: a change since then may have kept the size.

    ``seen`` is the output's fingerprint of that moment. A few small files are quicker hashed again
    than all of a folder looked at.
    """
    going = [old for old, _ in found.pairs if old is not None]
    if seen is not None and seen.isdir and _are_few(going):
        return all(_is_still(old, scheme) for old in going)
    return fingerprint.take(path, _NEVER) == seen


def carry_out(found: Plan, target: Target, shop: Workshop) -> None:
    """Make all ready in the shop, then put it in place; raises OSError, MlflowDvcError."""
    ready = [shop.make(new) if new else None for _, new in found.pairs]
    # A new file may need the place of an emptied folder, so folders go between the two.
    for old, new in found.pairs:
        if new is None and old is not None:
            shop.swap(old, None, old.path)
    remove_empty(found.folders, target.path, target.isdir)
    for (old, new), path in zip(found.pairs, ready, strict=True):
        if new is not None:
            shop.swap(old, path, new.path)
    if target.isdir:
        os.makedirs(target.path, exist_ok=True)  # an empty directory is data, too


def is_in_place(found: Plan) -> bool:
    """Tell whether all that came is there, by its bytes; False where that is much to read."""
    coming = [new for _, new in found.pairs if new is not None]
    return _are_few(coming) and all(
        hashing.file_md5(new.path, new.scheme, _NEVER)[0] == new.md5 for new in coming
    )


def _are_few(files: Sequence[Old | New]) -> bool:
    return len(files) < _FEW and sum(os.stat(one.path).st_size for one in files) < _SMALL


def _is_still(old: Old, scheme: str) -> bool:
    md5, info = hashing.file_md5(old.path, scheme, _NEVER)
    return md5 == old.md5 and hashing.identity(info) == old.identity


_NEVER = Deadline(None)
