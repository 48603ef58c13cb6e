"""The DVC cache that data is brought back from: what in it is sound, and putting objects there."""

from __future__ import annotations

import itertools
import operator
import os
import shutil
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor

from mlflow_dvc_plugin.capture import dvcstate
from mlflow_dvc_plugin.capture.fingerprint import settled
from mlflow_dvc_plugin.capture.hashing import scheme_of
from mlflow_dvc_plugin.capture.known import AS_DVC, KEY, NONE, Key, Known, keys_at
from mlflow_dvc_plugin.capture.store import now_in
from mlflow_dvc_plugin.lineage import readback
from mlflow_dvc_plugin.lineage.readfiles import SMALL, read_small
from mlflow_dvc_plugin.sync.objects import Cache, is_whole

_MODE = 0o444
_MD5 = 32
_MINUTE = 60 * 1_000_000_000


class Shelf:
    """One cache folder of the DVC repository at the absolute path ``root``.

    ``keys`` are those of sound objects, by name, of DVC 3.x and of 2.x (``legacy``). What is known
    of them in Git's folder ``common_dir`` is not read again. ``later`` is how members of
    directories are put in place by one who looks at them then; until that they are ``unsure``. A
    ``hardlink`` compares an object's key: one that is known is not looked at here, not even whether
    it is there. It reads those of directories (listings) in ``unread``, and a ``copy`` reads all:
    here they only seem to be there.
    """

    def __init__(
        self, folder: str, root: str, site_cache: str | None, common_dir: str | None = None,
        *, later: str | None = None,
    ) -> None:  # fmt: skip
        self.folder = folder
        self._root = root
        self._site = site_cache
        self.cache = Cache(folder, root, site_cache, {})
        self.keys: tuple[dict[str, Key], dict[str, Key]] = ({}, {})
        self.unsure: tuple[set[str], set[str]] = (set(), set())
        self.damaged: set[str] = set()
        self.roots = (os.path.join(folder, "files", "md5", ""), os.path.join(folder, ""))
        self._common_dir = common_dir
        self._later = later
        self._young: set[str] = set()  # they may change without a trace
        # The objects of each listing, and whether all of them were known.
        self._listed: dict[tuple[str, bool], tuple[list[str], bool]] = {}
        self._stamp = 0
        self.unread: set[str] = set()

    def path(self, name: str, legacy: bool) -> str:
        """Return where the object is, or would be."""
        return f"{self.roots[legacy]}{name[:2]}{os.sep}{name[2:]}"

    def recall(self, listing: str, legacy: bool) -> None:
        """Look whether a directory's objects are as they were when they had been read."""
        rows, known = self.listing(listing, legacy), self._known
        if rows is None or known is None or self._is_copied(legacy):
            return
        names = list(dict.fromkeys(rows.values()))
        then = known.read(listing, legacy, len(names))
        keys = self.keys[legacy]
        if then and self._later == "hardlink":
            new = dict(zip(names, then, strict=True))
            if {*map(operator.itemgetter(3), then)} != {AS_DVC}:
                new = {name: key for name, key in new.items() if key[3] == AS_DVC}
            for name in new.keys() & keys.keys():  # it has been looked at
                del new[name]
            self.unsure[legacy].update(new)
            keys.update(new)
        elif then:
            now = keys_at(self.roots[legacy], names)
            same: Iterable[bool] = map(operator.eq, now, then)
            if NONE in now:  # one that is not there, and was not known: that is no agreement
                same = (key == before != NONE for key, before in zip(now, then, strict=True))
            keys.update(itertools.compress(zip(names, now, strict=True), same))
        elif not legacy and self._is_for_later(names):
            self._stamp = self._stamp or _now(self.folder)
            self.unread.add(listing)
            self.unsure[legacy].update(names)
        self._listed[listing, legacy] = names, all(map(keys.__contains__, names))

    def _is_copied(self, legacy: bool) -> bool:
        # What DVC 2.x has hashed of a text are not its bytes.
        return self._later == "copy" and not legacy

    def _is_for_later(self, names: Sequence[str]) -> bool:
        """Tell whether the objects shall be read by another process, once they are linked.

        Not where they seem to be missing, or must not be linked.
        """
        if self._later != "hardlink" or len(names) < readback.WORTH or not readback.can_help():
            return False
        some = keys_at(self.roots[False], (names[0], names[-1]))
        return {key[3] for key in some} == {AS_DVC}

    @property
    def needs_reader(self) -> bool:
        """Whether another process shall read, or look at, what is linked."""
        many = any(len(names) >= readback.WORTH for names, _ in self._listed.values())
        return many and self._later == "hardlink" and readback.can_help()

    def unsound(self, names: Set[str], legacy: bool, *, alone: bool = False) -> set[str]:
        """Return those that are not there, or do not hold what their names say (``damaged``).

        What is not known is read when it is small. For the others DVC's own record is asked, all at
        once; what it does not vouch for is read as well. ``alone``: they are no members of a
        directory, and nobody looks at them later.
        """
        known, unsure = self.keys[legacy].keys(), self.unsure[legacy]
        if not alone and known >= names:
            return set()
        left = names if alone else names - unsure
        doubtful = {name for name in left if name not in known or name in unsure}
        # To know a listing is to have read it.
        doubtful = {name for name in doubtful if not alone or self.listing(name, legacy) is None}
        if not alone and self._is_copied(legacy):
            there = {name for name in doubtful if os.path.isfile(self.path(name, legacy))}
            self.unsure[legacy].update(there)
            return doubtful - there
        return doubtful - self._read(doubtful, legacy)

    def have_read(self, read: Mapping[str, Key]) -> None:
        """Note what ``stat`` said of objects (not of 2.x) as they were read; NONE: not sound.

        Whatever was known of such a one from a record does not count any more.
        """
        self.unsure[False].difference_update(read)
        if NONE in read.values():
            for name in [name for name, key in read.items() if key == NONE]:
                self.keys[False].pop(name, None)
            read = {name: key for name, key in read.items() if key != NONE}
        self.keys[False].update(read)
        self._young.update(n for n, key in read.items() if not settled(key[2], self._stamp))

    def _read(self, names: Iterable[str], legacy: bool) -> set[str]:
        good, broken, big = set(), set(), {}
        keys, stamp = self.keys[legacy], _now(self.folder)
        for name in names:
            try:
                most = SMALL if not legacy or name.endswith(".dir") else -1
                info, md5 = read_small(self.path(name, legacy), most=most)
            except OSError:
                continue
            if not settled(info.st_mtime_ns, stamp):
                self._young.add(name)
            if md5 is None:
                big[name] = info
            elif md5 == name[:_MD5]:
                good.add(name)
                keys[name] = KEY(info)
            else:
                broken.add(name)
        for name, whole in self._big(big, legacy):
            (good if whole else broken).add(name)
        self.damaged |= broken
        return good

    def _big(self, stats: Mapping[str, os.stat_result], legacy: bool) -> Iterator[tuple[str, bool]]:
        paths = {name: self.path(name, legacy) for name in stats}
        known = self._recorded(paths, stats, legacy)
        doubtful = [name for name in stats if known.get(paths[name]) != name[:_MD5]]
        with ThreadPoolExecutor() as pool:
            read = pool.map(lambda name: is_whole(paths[name], name, legacy), doubtful)
            whole = dict(zip(doubtful, read, strict=True))
        for name, info in stats.items():
            if whole.get(name, True):
                self.keys[legacy][name] = KEY(info)
            yield name, whole.get(name, True)

    def keep(self) -> None:
        """Write down the objects of directories that were sound, where that is not what was known.

        One that was known and has been found damaged is known no more.
        """
        for (listing, legacy), (names, all_known) in self._listed.items():
            if known := self._known:
                keys = self.keys[legacy]
                for name in self._young:
                    keys.pop(name, None)
                if not all_known or not all(map(keys.__contains__, names)):
                    known.write(listing, legacy, map(keys.get, names))

    @property
    def _known(self) -> Known | None:
        if self._common_dir is None or not os.path.isdir(self.folder):
            return None
        return Known(self._common_dir, os.stat(self.folder).st_dev)

    def _recorded(
        self, paths: Mapping[str, str], stats: Mapping[str, os.stat_result], legacy: bool
    ) -> dict[str, str]:
        if legacy or self._site is None:
            return {}
        kept = {paths[n]: info for n, info in stats.items() if stat.S_IMODE(info.st_mode) == _MODE}
        return dvcstate.recorded(self._root, kept, self._site)

    def listing(self, name: str, legacy: bool) -> Mapping[str, str] | None:
        """Return relative path -> md5; None when it is not here, or names a path outside."""
        return self.cache.listing(name, scheme_of(legacy))

    def take(self, source: str, name: str, legacy: bool) -> bool:
        """Move a downloaded file in, if its bytes are what the name says; False when not.

        A damaged object in its place is kept beside it: data may be a link to it that a person has
        written through.
        """
        if not is_whole(source, name, legacy):
            return False
        target = self.path(name, legacy)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.lexists(target):
            if is_whole(target, name, legacy):
                return True
            os.rename(target, _beside(target))
        os.chmod(source, _MODE)
        os.rename(source, target)
        self.damaged.discard(name)
        return True

    def copy(self, source: str, name: str, legacy: bool, scratch: str) -> bool:
        """Take the object from another cache; False when it is not whole there."""
        place = os.path.join(scratch, f"copy-{name}")
        try:
            shutil.copyfile(source, place)
        except OSError:
            return False
        return self.take(place, name, legacy)


def _now(folder: str) -> int:
    """Return the time in ns by the clock of the folder's files, or one that is behind it."""
    try:
        return now_in(folder)
    except OSError:  # a cache that others may write
        return time.time_ns() - _MINUTE


def _beside(path: str) -> str:
    numbers = ("", *map(str, range(1, 1000)))
    places = (f"{path}.damaged{number}" for number in numbers)
    return next(place for place in places if not os.path.lexists(place))
