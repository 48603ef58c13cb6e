"""Which DVC metadata files there are: those that DVC's own walk would find, without walking."""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from mlflow_dvc_plugin import dvcrepo
from mlflow_dvc_plugin.capture.files import CommitFiles, Files, WorktreeFiles
from mlflow_dvc_plugin.capture.pipeline import lock_of
from mlflow_dvc_plugin.capture.trees import TreeFiles
from mlflow_dvc_plugin.capture.walk import Found, is_metadata, walk_metadata_files
from mlflow_dvc_plugin.dvcrepo import DEFAULT_IGNORED, IGNORE_FILE
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitrepo import GitError, call_git_z

__all__ = ["Found", "commit_metadata_files", "metadata_files", "walk_metadata_files"]


def metadata_files(  # noqa: PLR0913
    toplevel: str,
    dvc_root: str,
    tracked: Sequence[str],
    untracked: Sequence[str],
    memo: dict[str, Any],
    *,
    ignored: Collection[str] = (),
) -> Found:
    """Return the metadata files of a worktree, from what Git lists.

    ``tracked`` and ``untracked`` are relative to the toplevel; a nested Git repository stands in
    ``untracked`` as ``name/``. ``ignored`` are tracked paths that a ``.gitignore`` matches: DVC
    skips them (``git ls-files -z -i -c --exclude-standard``). ``memo`` keeps DVC's answer about
    ``.dvcignore`` patterns; without any pattern DVC is not imported.
    """
    files = WorktreeFiles(toplevel)
    unknown: dict[str, str] = {}
    names = {path for path in tracked if is_metadata(path)}
    nested = _submodules(files, unknown)
    for path in untracked:
        if path.endswith("/"):
            nested.append(path[:-1])
        elif is_metadata(path):
            names.add(path)
    for folder in nested:
        names.update(_in_git_repository(files, folder, dvc_root, unknown))
    names.difference_update(ignored)
    # A name that is not on disk (deleted, or left out of a sparse checkout) states nothing there.
    found = seen(files, dvc_root, names, memo)
    return found._replace(unknown={**unknown, **found.unknown})


def commit_metadata_files(
    files: CommitFiles | TreeFiles, dvc_root: str, memo: dict[str, Any] | None = None
) -> Found:
    """Return the metadata files of a commit. DVC does not look at ``.gitignore`` there."""
    names = filter(is_metadata, files.paths)
    return seen(files, dvc_root, names, {} if memo is None else memo)


def seen(files: Files, dvc_root: str, names: Iterable[str], memo: dict[str, Any]) -> Found:
    """Keep those of ``names`` that DVC's walk from ``dvc_root`` meets, sorted."""
    folders: dict[str, bool] = {dvc_root: True}
    ignores: dict[str, bytes] = {}
    _read_ignore(files, dvc_root, ignores)
    inside = f"{dvc_root}/" if dvc_root else ""
    paths = sorted(
        name
        for name in names
        if name.startswith(inside) and _entered(files, posixpath.dirname(name), folders, ignores)
    )
    if not any(map(dvcrepo.has_patterns, ignores.values())):
        return Found(paths, {})
    return _not_ignored(files, dvc_root, paths, ignores, memo)


def _entered(
    files: Files, folder: str, folders: dict[str, bool], ignores: dict[str, bytes]
) -> bool:
    """Say whether DVC's walk enters ``folder``, were there no ``.dvcignore``; note those it has."""
    known = folders.get(folder)
    if known is not None:
        return known
    parent, name = posixpath.split(folder)
    enters = (
        name not in DEFAULT_IGNORED
        and _entered(files, parent, folders, ignores)
        and not files.exists(f"{folder}/.dvc")  # a DVC repository of its own
        and not (isinstance(files, WorktreeFiles) and files.is_link(folder))
    )
    folders[folder] = enters
    if enters:
        _read_ignore(files, folder, ignores)
    return enters


def _read_ignore(files: Files, folder: str, ignores: dict[str, bytes]) -> None:
    path = posixpath.join(folder, IGNORE_FILE)
    if files.exists(path):
        try:
            ignores[path] = files.read(path) or b""
        except OSError:
            ignores[path] = b"unreadable"  # counts as a pattern: DVC's filter then says why


def _not_ignored(
    files: Files, dvc_root: str, paths: list[str], ignores: dict[str, bytes], memo: dict[str, Any]
) -> Found:
    """Ask DVC which paths its ``.dvcignore`` files hide, or the memo when nothing has changed."""
    digests = {path: hashlib.md5(content).hexdigest() for path, content in ignores.items()}
    listing = hashlib.md5("\0".join(paths).encode("utf-8", "surrogateescape")).hexdigest()
    key = [dvc_root, listing, digests]
    locks = [lock_of(path) for path in paths if path.endswith("dvc.yaml")]
    if memo.get("ignore_key") != key:
        try:
            keep = dvcrepo.visible_paths(files, files.toplevel, dvc_root, [*paths, *locks])
        except MlflowDvcError as error:
            return Found(paths, dict.fromkeys(ignores, error.message))
        hidden = sorted({*paths, *locks} - keep)
        memo.update(ignore_key=key, ignore_hidden=hidden)
    gone = set(memo["ignore_hidden"])
    return Found([path for path in paths if path not in gone], {}, frozenset(gone & set(locks)))


def _submodules(files: WorktreeFiles, unknown: dict[str, str], folder: str = "") -> list[str]:
    """Return the paths of the submodules that ``.gitmodules`` in ``folder`` names."""
    path = posixpath.join(folder, ".gitmodules")
    if not files.exists(path):
        return []
    root = os.path.join(files.toplevel, folder)
    question = ("config", "-z", "-f", ".gitmodules", "--get-regexp", r"^submodule\..*\.path$")
    try:
        records = call_git_z(root, *question)
    except GitError as error:
        if error.code != 1:  # 1: no submodule is named
            unknown[path] = error.message
        return []
    paths = [record.partition("\n")[2].strip("/") for record in records]
    return [posixpath.join(folder, path) for path in paths if path]


def _in_git_repository(
    files: WorktreeFiles, folder: str, dvc_root: str, unknown: dict[str, str]
) -> list[str]:
    """Return the metadata files of a Git repository inside the worktree, and of those inside it."""
    inside = not dvc_root or f"{folder}/".startswith(f"{dvc_root}/")
    if not inside or files.exists(f"{folder}/.dvc") or not files.exists(f"{folder}/.git"):
        return []
    root = os.path.join(files.toplevel, folder)
    try:
        listed = call_git_z(root, "ls-files", "-z", "-c", "-o", "--exclude-standard")
    except GitError as error:
        unknown[folder] = error.message
        return []
    names = [f"{folder}/{path}" for path in listed if is_metadata(path)]
    nested = [f"{folder}/{path[:-1]}" for path in listed if path.endswith("/")]
    for below in {*nested, *_submodules(files, unknown, folder)}:
        names += _in_git_repository(files, below, dvc_root, unknown)
    return names
