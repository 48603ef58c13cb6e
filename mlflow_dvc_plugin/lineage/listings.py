"""What lies in a directory output: its ``.dir`` object, from the cache or the DVC remote."""

from __future__ import annotations

from collections.abc import Mapping

from mlflow_dvc_plugin.capture import hashing
from mlflow_dvc_plugin.dvcrepo.remote import Store
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.sync.objects import read_object
from mlflow_dvc_plugin.sync.rows import rows_of


class Listings:
    """Directory listings of one DVC repository, each read once; not ``far``: from the cache."""

    def __init__(self, store: Store, *, far: bool = True) -> None:
        self._store = store
        self._far = far
        self._known: dict[tuple[str, bool], Mapping[str, str] | None] = {}
        self._silent: dict[str, str] = {}
        self.failed: dict[str, str] = {}

    def get(self, name: str, legacy: bool, remote: str | None = None) -> Mapping[str, str] | None:
        """Return relative path -> md5, None when it can be had nowhere (why is in ``failed``).

        ``remote`` is the output's own one. The bytes are checked against the name.
        """
        key = (name, legacy)
        if key not in self._known:
            found = self._cached(name, legacy)
            self._known[key] = self._fetched(name, legacy, remote) if found is None else found
        return self._known[key]

    def _cached(self, name: str, legacy: bool) -> Mapping[str, str] | None:
        path = self._store.cached(name, legacy)
        try:
            return None if path is None else rows_of(read_object(path), name)
        except (OSError, ValueError):
            return None

    def _fetched(self, name: str, legacy: bool, remote: str | None) -> Mapping[str, str] | None:
        if not self._far:
            self.failed[name] = "it is not in the cache"
            return None
        chosen = remote or self._store.default
        if chosen is None:
            self.failed[name] = "it is not in the cache, and there is no DVC remote"
            return None
        if chosen in self._silent:  # it takes seconds to not answer
            self.failed[name] = self._silent[chosen]
            return None
        try:
            there = self._store.remote(chosen)
            if there.versioned:
                self.failed[name] = f"DVC remote '{chosen}' keeps no such objects"
                return None
            data = there.read(there.object_path(name, legacy))
        except MlflowDvcError as error:
            self.failed[name] = self._silent[chosen] = error.message
            return None
        if data is None:
            self.failed[name] = f"it is in neither the cache nor DVC remote '{chosen}'"
            return None
        try:
            return rows_of(data, name)
        except ValueError as error:
            self.failed[name] = f"on DVC remote '{chosen}' {error}"
            return None


def inside(rows: Mapping[str, str], relpath: str) -> str | None:
    """Return the hash of the file or folder at ``relpath`` of a listing, None when not in it."""
    if relpath in rows:
        return rows[relpath]
    folder = f"{relpath}/"
    part = [(name[len(folder) :], md5) for name, md5 in rows.items() if name.startswith(folder)]
    return hashing.directory_hash(part) if part else None
