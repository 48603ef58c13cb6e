"""The repositories that a run belongs to."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from mlflow_dvc_plugin import gitdir
from mlflow_dvc_plugin.capture.code import GitFacts, code_worktree
from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.gitdir import Worktree

REPO_VARIABLE = "MLFLOW_DVC_REPO"


class Start(NamedTuple):
    """Where to look from: ``folder`` is absolute; ``named`` when ``MLFLOW_DVC_REPO`` names it."""

    folder: str | None
    named: bool


def start(warnings: list[tuple[str, str]], given: str | None = None) -> Start:
    """Return the folder ``given``, else that of ``MLFLOW_DVC_REPO``, else the working directory."""
    named = given or os.environ.get(REPO_VARIABLE)
    try:
        folder = os.path.abspath(os.path.expanduser(named)) if named else os.getcwd()
    except OSError:  # the working directory was removed
        return Start(None, named=False)
    if named and not os.path.isdir(folder):
        warnings.append(
            (REPO_VARIABLE, f"{REPO_VARIABLE}={named} is not a folder; no tags are set")
        )
        return Start(None, named=True)
    return Start(folder, named=bool(named))


def settings_folder(folder: str | None) -> str | None:
    """Return the folder whose ``pyproject.toml`` holds the settings: the toplevel, if any."""
    worktree = gitdir.find_worktree(folder) if folder else None
    return worktree.toplevel if worktree else folder


def find_code(begin: Start, facts: GitFacts, deadline: Deadline) -> Worktree | None:
    """Return the Git worktree of the running code."""
    if begin.named:
        return gitdir.find_worktree(begin.folder) if begin.folder else None
    return code_worktree(begin.folder, facts, deadline)


def find_dvc_root(begin: Start, code: Worktree | None) -> str | None:
    """Return the DVC repository upwards from the start, else the one at the code's toplevel."""
    root = _upwards(begin.folder) if begin.folder else None
    if root is None and code is not None and os.path.isdir(os.path.join(code.toplevel, ".dvc")):
        return code.toplevel
    return root


def dvc_started_in() -> str | None:
    """Return the folder that the DVC which runs this process's stage was started in.

    It is the nearest ancestor that has not got this process's ``DVC_STAGE``. None where ``/proc``
    does not tell.
    """
    ours = os.fsencode(f"DVC_STAGE={os.environ.get('DVC_STAGE')}")
    pid = os.getppid()
    try:
        while pid > 1:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if ours not in file.read().split(b"\0"):
                    return os.readlink(f"/proc/{pid}/cwd")
            with open(f"/proc/{pid}/stat", "rb") as file:
                pid = int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return None


def nested_dvc_roots(toplevel: str, paths: Iterable[str]) -> list[str]:
    """Return the folders below ``toplevel`` whose ``.dvc/config`` is among ``paths``."""
    ending = "/.dvc/config"
    found = {path[: -len(ending)] for path in paths if path.endswith(ending)}
    return sorted(os.path.join(toplevel, *folder.split("/")) for folder in found)


def _upwards(folder: str) -> str | None:
    """Walk up as DVC does, which stops at a mount point (``dvc/repo/__init__.py`` find_root)."""
    folder = os.path.realpath(folder)
    while True:
        if os.path.isdir(os.path.join(folder, ".dvc")):
            return folder
        parent = os.path.dirname(folder)
        if parent == folder or os.path.ismount(folder):
            return None
        folder = parent
