"""What the Git remotes have now: they are asked, not what was seen of them at the last fetch."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import GitError, call_git, call_git_z

_PATIENCE = 20.0  # seconds for one remote's answer
_PROBES = 32  # commits that a remote is asked for one by one
_LINE = re.compile(r"([0-9a-f]{40}(?:[0-9a-f]{24})?)\t")
# What of the repository's own settings says how to reach a remote.
_CONNECTION = (
    r"^(remote\..*\.(url|proxy|vcs|uploadpack)|url\.|credential\.|http\.|ssh\.|protocol\."
    r"|core\.(sshcommand|gitproxy|askpass)$)"
)


@dataclass(frozen=True)
class Remote:
    """A Git remote and the ids that its branches, tags and snapshots stand at now.

    ``failed`` is why it did not answer.
    """

    name: str
    tips: frozenset[str] = frozenset()
    failed: str = ""


def remotes(worktree: Worktree) -> list[Remote]:
    """Ask every Git remote for what it has; one that does not answer says why. Raises GitError."""
    names = call_git(worktree.toplevel, "remote").decode(errors="surrogateescape").splitlines()
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda name: ask(worktree, name), names))


def ask(worktree: Worktree, name: str) -> Remote:
    """Ask one Git remote for what it has. Raises nothing."""
    try:
        out = call_git(
            worktree.toplevel, "ls-remote", "--quiet", "--end-of-options", name,
            timeout=_PATIENCE,
        )  # fmt: skip
    except GitError as error:
        return Remote(name, failed=error.message)
    lines = map(_LINE.match, out.decode(errors="surrogateescape").splitlines())
    return Remote(name, frozenset(line[1] for line in lines if line))


def urls(worktree: Worktree) -> list[str]:
    """Return the URLs of all remotes, as the configuration states them. Raises nothing."""
    try:
        found = call_git_z(
            worktree.toplevel, "config", "-z", "--get-regexp", r"^remote\..*\.(url|pushurl)$"
        )
    except GitError:  # there is none
        return []
    return [entry.partition("\n")[2] for entry in found]


def served(worktree: Worktree, name: str, ids: Sequence[str]) -> dict[str, bool | str]:
    """Say for each commit whether the remote gives it out; a text is why that is not known.

    Each is fetched, by itself and without files where the server can do that, into a repository
    that is removed again: this one stays as it is.
    """
    found: dict[str, bool | str] = dict.fromkeys(ids, "there are too many to ask for each")
    try:
        with _elsewhere(worktree) as (folder, settings):
            if len(ids) > 1 and _fetch(worktree, folder, settings, name, ids) is True:
                return dict.fromkeys(ids, True)
            for one in ids[:_PROBES]:
                found[one] = _fetch(worktree, folder, settings, name, [one])
    except (MlflowDvcError, OSError) as error:
        return dict.fromkeys(ids, str(error))
    return found


def _fetch(
    worktree: Worktree, folder: str, settings: dict[str, str], name: str, ids: Iterable[str]
) -> bool | str:
    """Return True when the remote gave all of them, False when it has not got one."""
    answer = _try(worktree, folder, settings, name, "--filter=tree:0", *ids)
    if answer and not _NO.search(answer):  # it may be that it cannot filter
        answer = _try(worktree, folder, settings, name, "--no-filter", *ids)
    if not answer:
        return True
    return False if "not our ref" in answer else answer


_NO = re.compile("not our ref|unadvertised object|did not answer within")


def _try(
    worktree: Worktree, folder: str, settings: dict[str, str], name: str, thin: str, *ids: str
) -> str:
    """Return "" when all arrived, else what Git says."""
    try:
        call_git(
            worktree.toplevel, f"--git-dir={folder}", "-c", "protocol.version=2",
            "-c", "fetch.fsckObjects=false", "fetch", "--quiet", "--depth=1", thin,
            "--no-tags", "--refmap=", "--no-write-fetch-head", "--no-auto-gc",
            "--no-recurse-submodules", "--end-of-options", name, *ids,
            timeout=_PATIENCE, env=settings,
        )  # fmt: skip
    except GitError as error:
        return error.message
    return ""


@contextmanager
def _elsewhere(worktree: Worktree) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield an empty repository, and variables with the settings that reach the remotes from it.

    In variables, for there are secrets among them: arguments are for all to see.
    """
    try:
        entries = call_git_z(
            worktree.toplevel, "config", "--local", "--includes", "-z", "--get-regexp", _CONNECTION
        )
    except GitError:
        entries = []
    given = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    settings = {"GIT_CONFIG_COUNT": str(given + len(entries))}
    for number, entry in enumerate(entries, given):
        key, _, value = entry.partition("\n")
        settings |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    with tempfile.TemporaryDirectory(prefix="mlflow-dvc-", ignore_cleanup_errors=True) as folder:
        form = call_git(worktree.toplevel, "rev-parse", "--show-object-format").decode().strip()
        call_git(
            folder, "init", "--quiet", "--bare", "--template=", f"--object-format={form}",
            "--end-of-options", folder,
        )  # fmt: skip
        yield folder, settings
