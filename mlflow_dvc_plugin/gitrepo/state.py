"""What Git says of a worktree: HEAD, what differs from it, its index, its remotes."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo.call import OFFLINE, GitError, call_git, call_git_z

_AT_ONCE = 500  # paths a call: an argument list has a limit
_REMOTE = re.compile(r'remote "(.*)"\Z', re.DOTALL)


class Status(NamedTuple):
    """What ``git status`` says; paths relative to the toplevel.

    ``commit`` is None when HEAD is unborn, ``branch`` when it is detached. ``changed`` are tracked
    paths that differ from HEAD, staged or not. ``untracked`` is None when it was not asked for; a
    nested repository stands in it with a trailing slash. ``inside`` are submodules in which files
    differ from the submodule's own commit.
    """

    commit: str | None
    branch: str | None
    changed: tuple[str, ...]
    untracked: tuple[str, ...] | None
    inside: tuple[str, ...] = ()


class Index(NamedTuple):
    """Parts of Git's index; ``hidden`` are paths whose content ``git status`` does not look at."""

    metadata: tuple[str, ...]
    hidden: tuple[str, ...]


def status(worktree: Worktree, timeout: float, untracked: bool = True) -> Status:
    """Ask ``git status``: HEAD, what differs from it, and what is untracked and not ignored.

    Submodules count whatever the user's settings ignore, but not for untracked files inside them.
    """
    out = call_git(
        worktree.toplevel, "status", "--porcelain=v2", "--branch", "-z", "--no-renames",
        "--ignore-submodules=none", "--untracked-files=" + ("all" if untracked else "no"),
        timeout=timeout,
    )  # fmt: skip
    commit = branch = None
    changed: list[str] = []
    others: list[str] = []
    inside: list[str] = []
    for record in out.split(b"\0"):
        kind = record[:2]
        if kind == b"? ":
            others.append(os.fsdecode(record[2:]))
        elif kind == b"# ":
            _, key, value = record.split(b" ", 2)
            if key == b"branch.oid" and value != b"(initial)":
                commit = value.decode()
            elif key == b"branch.head" and value != b"(detached)":
                branch = os.fsdecode(value)
        elif kind in {b"1 ", b"u "}:
            fields = record.split(b" ", 8 if kind == b"1 " else 10)
            # "S..U": a submodule in which only untracked files lie about.
            if fields[2] != b"S..U" or fields[1] != b".M":
                changed.append(os.fsdecode(fields[-1]))
            if fields[2][:1] == b"S" and fields[2][2:] != b"..":
                inside.append(os.fsdecode(fields[-1]))
    if not out.startswith(b"# branch."):
        raise GitError("git status gave no answer")
    return Status(
        commit, branch, tuple(changed), tuple(others) if untracked else None, tuple(inside)
    )


def index_of(worktree: Worktree, endings: tuple[str, ...], timeout: float) -> Index:
    """Return what matters of the index: paths with these endings, and those Git looks away from."""
    out = call_git(worktree.toplevel, "ls-files", "-z", "-v", timeout=timeout)
    wanted = tuple(ending.encode() for ending in endings)
    lines = [line for line in out.split(b"\0") if line]
    return Index(
        tuple(os.fsdecode(line[2:]) for line in lines if line.endswith(wanted)),
        # Lower case: assume-unchanged. S: skip-worktree.
        tuple(os.fsdecode(line[2:]) for line in lines if line[:1] == b"S" or line[:1].islower()),
    )


def tracked_but_ignored(worktree: Worktree, paths: Sequence[str], timeout: float) -> list[str]:
    """Return those of the ``paths`` in the index that a ``.gitignore`` matches all the same."""
    if not paths:
        return []
    out = call_git_z(
        worktree.toplevel, "ls-files", "-z", "-c", "-i", "--exclude-standard", timeout=timeout
    )
    return [path for path in out if path in set(paths)] if out else []


def tracked_files(worktree: Worktree, paths: Sequence[str], timeout: float) -> set[str]:
    """Return those of the literal ``paths`` that are in the index, submodules included."""
    found: set[str] = set()
    for start in range(0, len(paths), _AT_ONCE):
        found.update(
            call_git_z(
                worktree.toplevel, "--literal-pathspecs", "ls-files", "-z", "--recurse-submodules",
                "--", *paths[start : start + _AT_ONCE], timeout=timeout,
            )
        )  # fmt: skip
    return found


def same_as_index(worktree: Worktree, path: str, timeout: float) -> bool:
    """Tell whether the file's content is what the index holds, whatever the index's flags say."""
    root = worktree.toplevel
    entry = call_git(
        root, "--literal-pathspecs", "ls-files", "-s", "-z", "--", path, timeout=timeout
    )
    actual = call_git(root, "hash-object", "--", path, timeout=timeout)
    return entry.split(b" ")[1:2] == [actual.strip()]


def tree_id(worktree: Worktree, commit: str, timeout: float) -> str:
    """Return the id of the commit's tree."""
    out = call_git(
        worktree.toplevel, "rev-parse", "--verify", f"{commit}^{{tree}}", timeout=timeout
    )
    return out.decode().strip()


def is_here(toplevel: str, commit: str) -> bool:
    """Tell whether the commit (an id) and its tree are in the repository; nothing is fetched."""
    try:
        call_git(toplevel, "cat-file", "-e", f"{commit}^{{tree}}", env=OFFLINE)
    except GitError:
        return False
    return True


def is_shallow(toplevel: str) -> bool:
    """Tell whether the history here has an end that is not its beginning. Raises GitError."""
    out = call_git(toplevel, "rev-parse", "--is-shallow-repository")
    return out.strip() == b"true"


def how_to_fetch(toplevel: str) -> str:
    """Return the command that may bring a commit that is not here."""
    if not call_git(toplevel, "for-each-ref", "--count=1") and not remote_names(toplevel):
        return "git add --all && git commit"  # there is none at all
    return "git fetch --unshallow" if is_shallow(toplevel) else "git fetch --all"


def remote_names(toplevel: str) -> list[str]:
    """Return the names of the Git remotes, ``origin`` first. Raises GitError."""
    names = os.fsdecode(call_git(toplevel, "remote")).split("\n")
    return sorted(filter(None, names), key=lambda name: (name != "origin", name))


def remote_url(worktree: Worktree, branch: str | None) -> str | None:
    """Return the URL of ``origin``, else of the branch's remote, else of the only remote.

    As the configuration states it: credentials are still in it. None when there is no such remote.
    Raises GitError when the configuration cannot be read.
    """
    path = os.path.join(worktree.common_dir, "config")
    try:
        from git.config import GitConfigParser
    except ImportError as error:  # GitPython refuses to load without a git program
        raise GitError("GitPython could not be loaded", "pip install GitPython") from error
    try:
        # The file by its name: `git.Repo` would follow GIT_COMMON_DIR to another repository.
        with GitConfigParser(path, read_only=True) as config:
            names = [match[1] for match in map(_REMOTE.match, config.sections()) if match]
            followed = config.get_value(f'branch "{branch}"', "remote", default="")
            for name in ("origin", followed, *(names if len(names) == 1 else ())):
                if name in names:
                    return str(config.get_values(f'remote "{name}"', "url", default="")[0]) or None
    except (OSError, ValueError, configparser.Error) as error:
        raise GitError(f"{path} cannot be read: {error}") from error
    return None
