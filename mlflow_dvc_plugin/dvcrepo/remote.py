"""DVC's cache and remotes: where objects lie, and bringing them from the one to the other.

Not through ``dvc.repo.Repo``: it takes half a second to import, and works only while a DVC
repository is checked out. The configuration is today's, that of the worktree.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlflow_dvc_plugin.dvcrepo.reading import dvc_quiet, first_line
from mlflow_dvc_plugin.errors import MlflowDvcError

if TYPE_CHECKING:
    from mlflow_dvc_plugin.capture.files import Files

# Seconds; a remote whose own configuration says otherwise keeps that.
_CONNECT_TIMEOUT = 10
_READ_TIMEOUT = 20


@dataclass(frozen=True)
class Remote:
    """A configured remote. ``versioned``: it keeps files under their names, not by hash.

    ``path`` is what its file system calls it (``bucket/prefix`` on S3); ``options`` are the
    arguments of fsspec's file system for it.
    """

    name: str
    protocol: str
    path: str
    versioned: bool
    options: Mapping[str, Any]
    _fs: Any
    _config: Mapping[str, Any]

    def object_path(self, name: str, legacy: bool) -> str:
        """Return the path of the object with this hash on the remote's file system."""
        parts = ("files", "md5") if not legacy else ()
        return str(self._fs.join(self.path, *parts, name[:2], name[2:]))

    def exists(self, path: str) -> bool:
        """Ask DVC's file system. Raises whatever the file system raises."""
        return bool(self._fs.exists(path))

    def read(self, path: str) -> bytes | None:
        """Return the bytes of a small object, None where there is none; raises MlflowDvcError."""
        try:
            with self._fs.open(path, "rb") as file:
                return bytes(file.read())
        except FileNotFoundError:
            return None
        except Exception as error:
            # Each kind of storage has exceptions of its own.
            raise MlflowDvcError(f"DVC remote '{self.name}': {first_line(error)}") from error

    def size(self, path: str) -> int | None:
        """Return the bytes of an object, None where there is none; raises MlflowDvcError."""
        try:
            return int(self._fs.info(path)["size"])
        except FileNotFoundError:
            return None
        except Exception as error:
            # Each kind of storage has exceptions of its own.
            raise MlflowDvcError(f"DVC remote '{self.name}': {first_line(error)}") from error

    def upload(
        self, sources: Mapping[str, str], legacy: bool, done: Callable[[], None]
    ) -> dict[str, BaseException]:
        """Copy the files (hash -> absolute path in the cache) to the remote, in parallel.

        An object is there as a whole or not at all. Returns hash -> error of those that failed.
        """
        from dvc.fs import LocalFileSystem
        from dvc_data.hashfile.db import get_odb

        if not sources:
            return {}
        hash_name = "md5-dos2unix" if legacy else "md5"
        path = self.path if legacy else self._fs.join(self.path, "files", "md5")
        failed: dict[str, BaseException] = {}
        with dvc_quiet():
            odb = get_odb(self._fs, path, hash_name=hash_name, **self._config)
            if self.protocol == "s3":
                # S3 has no folders: else it would list the bucket to see which there are, fail
                # without the right to, and try to make the bucket (dvc_objects/db.py, _init).
                odb._dirs = {name[:2] for name in sources}
            odb.add(
                list(sources.values()), LocalFileSystem(), list(sources), check_exists=False,
                on_error=failed.__setitem__, callback=_callback(done), verify=False,
                batch_size=self._fs.jobs,
            )  # fmt: skip
        return failed


@dataclass(frozen=True)
class Store:
    """The configuration of one DVC repository: ``default`` is its remote, ``caches`` its caches.

    Objects are looked for in all the ``caches`` (absolute folders), the first one first.
    """

    default: str | None
    caches: Sequence[str]
    _config: Any = field(repr=False)

    def remote(self, name: str) -> Remote:
        """Return the remote of this name. Raises MlflowDvcError when it cannot be used."""
        with _dvc_errors(f"DVC remote '{name}' cannot be used"):
            from dvc.fs import get_cloud_fs

            cls, config, path = get_cloud_fs(self._config, name=name)
            if cls.protocol == "s3":
                config.setdefault("connect_timeout", _CONNECT_TIMEOUT)
                config.setdefault("read_timeout", _READ_TIMEOUT)
            versioned = bool(config.get("version_aware") or config.get("worktree"))
            fs = cls(**config)
            config = {key: value for key, value in config.items() if key != "worktree"}
            options = getattr(fs, "fs_args", {})
            return Remote(name, cls.protocol, path, versioned, options, fs, config)

    def cached(self, name: str, legacy: bool) -> str | None:
        """Return the absolute path of the object in a cache, or None."""
        parts = () if legacy else ("files", "md5")
        paths = (os.path.join(cache, *parts, name[:2], name[2:]) for cache in self.caches)
        return next((path for path in paths if os.path.isfile(path)), None)


def open_store(root: str, main: str | None = None, files: Files | None = None) -> Store:
    """Read the configuration of the DVC repository at the absolute path ``root``.

    ``main`` is the same repository in the main worktree, when this is a linked one: its cache and
    its ``config.local`` serve here too. ``files`` is where ``.dvc/config`` stands when what is
    checked out has none. Raises MlflowDvcError.
    """
    folders = [os.path.join(path, ".dvc") for path in (root, main) if path]
    local = next((folder for folder in folders if _has_local(folder)), folders[0])
    with _dvc_errors("DVC's configuration cannot be read"):
        from dvc.config import Config

        from mlflow_dvc_plugin.dvcrepo.reading import files_fs

        fs = None if files is None else files_fs(files, files.toplevel)
        config = Config(folders[0], local_dvc_dir=local, fs=fs)
        given = config["cache"].get("dir")
        caches = [given] if given else [os.path.join(folder, "cache") for folder in folders]
        name = config["core"].get("remote")
        return Store(str(name) if name else None, caches, config)


def _has_local(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, "config.local"))


@contextmanager
def _dvc_errors(what: str) -> Iterator[None]:
    with dvc_quiet() as DvcException:  # noqa: N806 - it is a class
        try:
            yield
        except (DvcException, ImportError, KeyError, OSError, ValueError) as error:
            hint = "dvc remote list; dvc config --list --show-origin"
            raise MlflowDvcError(f"{what}: {first_line(error)}", hint) from error


def _callback(done: Callable[[], None]) -> Any:
    """Return an fsspec callback that says when one more file is there."""
    from fsspec.callbacks import Callback

    class Count(Callback):  # type: ignore[misc]
        def relative_update(self, inc: int = 1) -> None:
            for _ in range(inc):
                done()

    return Count()
