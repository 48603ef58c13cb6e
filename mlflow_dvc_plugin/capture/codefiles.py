"""Which untracked files belong to the code of a run, and may be kept with it.

A thousand runs that leave a log or a result beside the code must not make the repository grow, and
no secret may get into it.
"""

from __future__ import annotations

import os
import posixpath
import re
import stat
from collections.abc import Collection, Iterable
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

MOST = 10**6  # bytes of one file
_MOST_IN_ALL = 10 * 10**6
_SUFFIXES = (
    ".bash", ".bat", ".c", ".cc", ".cfg", ".conf", ".cpp", ".cu", ".cuh", ".cxx", ".cy", ".dvc",
    ".go", ".h", ".hpp", ".hxx", ".ini", ".ipynb", ".j2", ".java", ".jl", ".js", ".json",
    ".json5", ".jsonnet", ".kt", ".lua", ".m", ".pl", ".proto", ".ps1", ".pxd", ".py", ".pyi",
    ".pyx", ".r", ".rb", ".rmd", ".rs", ".scala", ".sh", ".sql", ".stan", ".swift", ".tf", ".toml",
    ".ts", ".yaml", ".yml",
)  # fmt: skip
_NAMES = re.compile(
    r"(?:dvc\.lock|\.dvcignore|\.gitignore|\.gitattributes|\.gitmodules|makefile|dockerfile.*"
    r"|snakefile|procfile|(?:requirements|constraints).*\.(?:txt|in))\Z"
)
# What MLflow, DVC and other trackers write on every run, and environments that nobody ignored.
_FOLDERS = frozenset({
    ".git", ".hydra", ".ipynb_checkpoints", ".mypy_cache", ".nox", ".pytest_cache", ".ruff_cache",
    ".tox", ".venv", "__pycache__", "lightning_logs", "mlartifacts", "mlruns", "multirun",
    "node_modules", "site-packages", "venv", "wandb",
})  # fmt: skip
_DVC_OWN = re.compile(r"(?:.*/)?\.dvc/(?!config\Z|plots/)")
_SECRET = re.compile(
    r"\.env.*|.*\.(?:pem|key|p12|pfx|jks|kdbx|keystore)|.*(?:credential|secret|passw).*|id_.*"
    r"|\.(?:netrc|npmrc|pypirc|pgpass|htpasswd)|config\.local|kaggle\.json|.*service[-_]?account.*"
    r"|(?:.*[-_.])?(?:api[-_]?)?(?:token|key)s?\.(?:json|ya?ml|toml|ini|cfg|conf)"
)


class Chosen(NamedTuple):
    """``paths`` to keep; ``left`` are those that belong to the code, and cannot be kept."""

    paths: list[str]
    left: list[str]


def choose(
    toplevel: str, untracked: Collection[str] | None, loaded: Iterable[str], *, others: bool
) -> Chosen:
    """Choose among the ``untracked`` files, which are not ignored; None: they could not be listed.

    ``loaded`` are untracked files, ignored ones too, that this process has loaded. ``others`` asks
    for source and configuration files that are not loaded as well. Paths are relative to
    ``toplevel``; a nested repository stands in ``untracked`` as ``name/``.
    """
    listed = set(untracked or ())
    first = sorted(loaded)
    store = _tracking_store(toplevel)
    rest = [
        path
        for path in sorted(listed)
        if others and is_kept_kind(path) and not path.startswith(store)
    ]
    paths, left, total = [], [], 0
    for path in dict.fromkeys([*first, *rest]):
        size = _size(toplevel, path)
        if size is None:
            continue
        total += size
        fits = size <= MOST and total <= _MOST_IN_ALL and can_be_kept(toplevel, path)
        if path not in listed or _is_secret(path) or not fits:
            left.append(path)
            total -= size
        else:
            paths.append(path)
    return Chosen(paths, left if untracked is not None else [*left, "untracked files"])


def can_be_kept(toplevel: str, path: str) -> bool:
    """Tell whether Git can read what is there: no pipe or socket, and no file of somebody else's.

    What has gone can be kept as such.
    """
    full = os.path.join(toplevel, path)
    try:
        mode = os.lstat(full).st_mode
    except OSError:
        return True
    if stat.S_ISREG(mode):
        return os.access(full, os.R_OK)
    return stat.S_ISLNK(mode) or stat.S_ISDIR(mode)


def _tracking_store(toplevel: str) -> tuple[str, ...]:
    """Return the folder of MLflow's file store inside the worktree, when that is where it is."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")  # set by mlflow.set_tracking_uri() too
    parts = urlsplit(uri)
    if not uri or (len(parts.scheme) > 1 and parts.scheme != "file"):
        return ()
    path = url2pathname(parts.path) if parts.scheme == "file" else uri
    inside = os.path.relpath(os.path.realpath(path), toplevel).replace(os.sep, "/")
    return () if inside == "." or inside.startswith("../") else (f"{inside}/",)


def is_kept_kind(path: str) -> bool:
    """Tell whether an untracked file of this name is kept although nothing has loaded it."""
    folder, name = posixpath.split(path.lower())
    if not name.endswith(_SUFFIXES) and not _NAMES.match(name) and not path.endswith(".dvc/config"):
        return False
    return not (
        _is_secret(path) or _DVC_OWN.match(path) or not _FOLDERS.isdisjoint(folder.split("/"))
    )


def _is_secret(path: str) -> bool:
    return _SECRET.fullmatch(posixpath.basename(path).lower()) is not None


def _size(toplevel: str, path: str) -> int | None:
    """Return the bytes of a file or link, None for what is neither, or has gone."""
    try:
        info = os.lstat(os.path.join(toplevel, path))
    except OSError:
        return None
    return info.st_size if stat.S_ISREG(info.st_mode) or stat.S_ISLNK(info.st_mode) else None
