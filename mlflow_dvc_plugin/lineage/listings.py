"""What lies in a directory output: its ``.dir`` object, from the cache or the DVC remote."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from mlflow_dvc_plugin.dvcrepo.remote import Store
from mlflow_dvc_plugin.errors import MlflowDvcError

_MD5 = 32


class Listings:
    """Directory listings of one DVC repository, each read once; ``store`` None: no remote."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[tuple[str, bool], Mapping[str, str] | None] = {}
        self._silent: dict[str, str] = {}
        self.failed: dict[str, str] = {}

    def get(self, name: str, legacy: bool, remote: str | None = None) -> Mapping[str, str] | None:
        """Return relative path -> md5, None when it can be had nowhere (why is in ``failed``).

        ``remote`` is the output's own one. The bytes are checked against the name.
        """
        key = (name, legacy)
        if key not in self._known:
            data = self._cached(name, legacy) or self._fetched(name, legacy, remote)
            self._known[key] = None if data is None else _rows(data)
            if data is not None and self._known[key] is None:
                self.failed[name] = "it is no list of files"
        return self._known[key]

    def _cached(self, name: str, legacy: bool) -> bytes | None:
        path = self._store.cached(name, legacy)
        if path is None:
            return None
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError:
            return None
        return data if _holds(data, name) else None

    def _fetched(self, name: str, legacy: bool, remote: str | None) -> bytes | None:
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
        if not _holds(data, name):
            self.failed[name] = f"DVC remote '{chosen}' holds other bytes under its name"
            return None
        return data


def _holds(data: bytes, name: str) -> bool:
    return hashlib.md5(data, usedforsecurity=False).hexdigest() == name[:_MD5]


def _rows(data: bytes) -> Mapping[str, str] | None:
    try:
        return {str(row["relpath"]): str(row["md5"]) for row in json.loads(data)}
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
