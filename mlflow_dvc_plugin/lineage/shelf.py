"""The DVC cache that data is brought back from: what in it is sound, and putting objects there."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from mlflow_dvc_plugin.capture import dvcstate, hashing
from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.sync.objects import Cache

_MODE = 0o444
SCHEMES = {False: "md5", True: "md5-dos2unix"}


class Shelf:
    """One cache folder of the DVC repository at the absolute path ``root``.

    ``verified`` is for :class:`sync.objects.Cache`: what was found sound is not read again.
    """

    def __init__(self, folder: str, root: str, site_cache: str | None) -> None:
        self.folder = folder
        self.verified: dict[str, str] = {}
        self._root = root
        self._site = site_cache
        self.cache = Cache(folder, root, site_cache, self.verified)
        self.damaged: set[str] = set()

    def path(self, name: str, legacy: bool) -> str:
        """Return where the object is, or would be."""
        return self.cache.path(name, SCHEMES[legacy])

    def sound(self, names: Iterable[str], legacy: bool) -> set[str]:
        """Return those that are there and hold what their names say; the rest may be ``damaged``.

        DVC's own record is asked for all at once; what it does not vouch for is read.
        """
        stats: dict[str, os.stat_result] = {}
        paths = {name: self.path(name, legacy) for name in names}
        for name, path in paths.items():
            with contextlib.suppress(OSError):
                stats[name] = os.stat(path)
        known = self._recorded(paths, stats, legacy)
        doubtful = [name for name in stats if known.get(paths[name]) != name[:32]]
        with ThreadPoolExecutor() as pool:
            read = pool.map(lambda name: is_whole(paths[name], name, legacy), doubtful)
            broken = {name for name, good in zip(doubtful, read, strict=True) if not good}
        self.damaged |= broken
        for name in stats.keys() - broken:
            info = stats[name]
            self.verified[paths[name]] = f"{hashing.identity(info)} {stat.S_IMODE(info.st_mode):o}"
        return stats.keys() - broken

    def _recorded(
        self, paths: Mapping[str, str], stats: Mapping[str, os.stat_result], legacy: bool
    ) -> dict[str, str]:
        if legacy or self._site is None:
            return {}
        kept = {paths[n]: info for n, info in stats.items() if stat.S_IMODE(info.st_mode) == _MODE}
        return dvcstate.recorded(self._root, kept, self._site)

    def listing(self, name: str, legacy: bool) -> Mapping[str, str] | None:
        """Return relative path -> md5; None when it is not here, or names a path outside."""
        return self.cache.listing(name, SCHEMES[legacy])

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


def is_whole(path: str, name: str, legacy: bool) -> bool:
    """Tell whether the file's bytes have the hash that its name says."""
    # A listing is hashed as it is, whoever made it.
    scheme = "md5" if name.endswith(".dir") else SCHEMES[legacy]
    try:
        return hashing.file_md5(path, scheme, Deadline(None))[0] == name[:32]
    except (OSError, ValueError):
        return False


def _beside(path: str) -> str:
    numbers = ("", *map(str, range(1, 1000)))
    places = (f"{path}.damaged{number}" for number in numbers)
    return next(place for place in places if not os.path.lexists(place))
