"""A worktree as a commit, without a change to anything that a person sees of the repository.

The commit is an entry in the reflog of a root reference, as ``HEAD`` has one: no branch, no tag,
nothing below ``refs/`` that ``git log --all`` shows or ``git push --mirror`` sends, and yet
``git gc --prune=now`` keeps what a reflog names (``builtin/gc.c``, ``revision.c``:
``add_reflogs_to_pending``).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Sequence

from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo.call import NO_HOOKS, OFFLINE, GitError, call_git

REFERENCE = "MLFLOW_RUN_HEAD"
SHARED = "refs/mlflow-dvc/snapshots/"  # where a remote keeps one, by its id
_MESSAGE = b"Working tree of a run\n"
_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "mlflow-dvc"), ("EMAIL", "mlflow-dvc@localhost"))
}
_SCRATCH = "snapshot-"
_STALE = 3600.0  # seconds
_PAUSE, _PATIENCE = 0.02, 1.0  # seconds
_LEAST = 2.0  # seconds: a Git that is killed while it writes a reference leaves a lock


def write_tree(worktree: Worktree, add: Sequence[str], gone: Sequence[str], timeout: float) -> str:
    """Return the id of the index's tree with the files ``add`` as they are, and without ``gone``.

    In a copy of the index, whose own is not even read for writing. Raises GitError, OSError.
    """
    settings = (
        *NO_HOOKS, "-c", "core.splitIndex=false", "-c", "core.fsmonitor=false",
        "-c", "core.safecrlf=false",
    )  # fmt: skip
    with _index_copy(worktree) as index:
        env = {"GIT_INDEX_FILE": index, **OFFLINE}
        for paths, how in ((gone, ("--force-remove",)), (add, ("--add", "--remove", "--replace"))):
            if paths:
                call_git(
                    worktree.toplevel, *settings, "update-index", *how, "-z", "--stdin",
                    stdin=b"".join(os.fsencode(path) + b"\0" for path in paths),
                    timeout=timeout, env=env,
                )  # fmt: skip
        out = call_git(worktree.toplevel, *settings, "write-tree", timeout=timeout, env=env)
    return out.decode().strip()


@contextlib.contextmanager
def _index_copy(worktree: Worktree) -> Iterator[str]:
    folder = os.path.join(worktree.git_dir, "mlflow-dvc")
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(folder):
        if name.startswith(_SCRATCH):
            _remove_if_old(os.path.join(folder, name))
    scratch = tempfile.mkdtemp(prefix=_SCRATCH, dir=folder)
    try:
        index = os.path.join(scratch, "index")
        with contextlib.suppress(FileNotFoundError):  # nothing was ever added
            _copy_with_time(os.path.join(worktree.git_dir, "index"), index)
        yield index
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _copy_with_time(source: str, target: str) -> None:
    """Copy the index, as old as it is: Git must see which files changed in the second it is of.

    It takes their size and time for proof otherwise (Documentation/technical/racy-git.txt).
    """
    with open(source, "rb") as old, open(target, "wb") as new:
        shutil.copyfileobj(old, new)
        info = os.fstat(old.fileno())
    os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))


def commit_date(worktree: Worktree, commit: str, timeout: float) -> str:
    """Return the committer's date of the commit, as Git's internal format has it."""
    out = call_git(worktree.toplevel, "cat-file", "commit", commit, timeout=timeout)
    for line in out.split(b"\n"):
        if line.startswith(b"committer "):
            return line.rpartition(b"> ")[2].decode()
    raise GitError(f"git cat-file gave no commit for {commit}")


def commit_tree(
    worktree: Worktree, tree: str, parent: str | None, date: str, timeout: float
) -> str:
    """Return the id of the commit with this tree: equal arguments give an equal commit."""
    when = dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), f"@{date}")
    out = call_git(
        worktree.toplevel, "-c", "i18n.commitEncoding=UTF-8", "commit-tree", "--no-gpg-sign",
        *(("-p", parent) if parent else ()), tree,
        stdin=_MESSAGE, timeout=timeout, env=_IDENTITY | when,
    )  # fmt: skip
    return out.decode().strip()


def is_kept(common_dir: str, commit: str) -> bool:
    """Tell whether the reflog names the commit; False also where it is in no file of its own."""
    try:
        with open(os.path.join(common_dir, "logs", REFERENCE), "rb") as file:
            return b" %b " % commit.encode() in file.read()
    except OSError:
        return False


def keep(common_dir: str, commit: str, timeout: float) -> None:
    """Let the repository keep the commit for good. Raises GitError."""
    git = (f"--git-dir={common_dir}",)
    _let_it_not_expire(common_dir, timeout)
    reference = os.path.join(common_dir, REFERENCE)
    _remove_if_old(f"{reference}.lock")
    if _first_line(reference) == commit.encode():
        # Somebody emptied the reflogs, and Git notes nothing where a value stays. It is the entry
        # that keeps a commit: the reference may go.
        os.unlink(reference)
    now = f"@{int(time.time())} +0000"  # whatever the environment says
    call_git(
        common_dir, *git, *NO_HOOKS, "-c", "core.filesRefLockTimeout=5000", "update-ref",
        "--create-reflog", "-m", "snapshot", REFERENCE, commit,
        timeout=max(timeout, _LEAST), env=_IDENTITY | {"GIT_COMMITTER_DATE": now},
    )  # fmt: skip


def _let_it_not_expire(common_dir: str, timeout: float) -> None:
    """Say so in the repository's configuration. Raises GitError.

    Git does not wait for the lock of that file: the first runs of a sweep all want it at once.
    """
    end = time.monotonic() + min(timeout, _PATIENCE)
    while not _never_expires(common_dir):
        try:
            for name in ("reflogExpire", "reflogExpireUnreachable"):
                call_git(
                    common_dir, f"--git-dir={common_dir}", "config", "--local",
                    f"gc.{REFERENCE}.{name}", "never", timeout=timeout,
                )  # fmt: skip
        except GitError:  # noqa: PERF203 - it asks again
            if time.monotonic() > end:
                raise
            time.sleep(_PAUSE)
        else:
            return


def _first_line(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.readline().strip()
    except OSError:
        return b""


def _remove_if_old(path: str) -> None:
    """Remove what a process that was killed left behind."""
    with contextlib.suppress(OSError):
        if os.stat(path).st_mtime < time.time() - _STALE:
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def _never_expires(common_dir: str) -> bool:
    try:
        with open(os.path.join(common_dir, "config"), "rb") as file:
            text = file.read()
    except OSError:
        return False
    section = text.partition(f'[gc "{REFERENCE}"]'.encode())[2].partition(b"\n[")[0]
    return section.count(b"= never") == 2


def bring(common_dir: str, source: str, commit: str, timeout: float) -> None:
    """Copy the commit and what it needs from the repository at ``source``. Raises GitError."""
    call_git(
        common_dir, f"--git-dir={common_dir}", *NO_HOOKS, "-c", "fetch.fsckObjects=false",
        "-c", "protocol.version=2",
        "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-gc",
        "--no-recurse-submodules", "--end-of-options", source, commit, timeout=timeout,
    )  # fmt: skip


def kept(common_dir: str) -> list[str]:
    """Return the commits that are kept, the oldest first. Raises GitError."""
    git = f"--git-dir={common_dir}"
    try:
        out = call_git(common_dir, git, "log", "-g", "--format=%H", REFERENCE, "--")
    except GitError:  # there has never been one
        call_git(common_dir, git, "rev-parse", "--git-dir")
        return []
    return list(dict.fromkeys(reversed(out.decode().split())))


def forget(common_dir: str, commits: Collection[str]) -> None:
    """Let Git's garbage collection have these commits. Raises GitError, OSError.

    The reflog is written anew while the reference is locked, as ``git reflog delete`` does it: that
    one counts entries, and would drop another when a run begins meanwhile.
    """
    log, reference = (os.path.join(common_dir, *part, REFERENCE) for part in (("logs",), ()))
    lock = f"{reference}.lock"
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError as error:
        raise GitError(f"{REFERENCE} is being written", "try again in a moment") from error
    try:
        with open(log, "rb") as file:
            lines = [line for line in file if line.split(b" ")[1].decode() not in commits]
        if not lines:
            os.unlink(log)
            os.unlink(reference)
            return
        before = b"0" * len(lines[0].split(b" ")[0])
        with open(f"{log}.lock", "wb") as file:
            for line in lines:
                file.write(before + line[len(before) :])  # an old id keeps its commit, too
                before = line.split(b" ")[1]
        with open(lock, "wb") as file:
            file.write(before + b"\n")
        os.replace(f"{log}.lock", log)
        os.replace(lock, reference)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(lock)


def bytes_of(common_dir: str, commits: Iterable[str], timeout: float) -> int:
    """Return how many bytes on disk the commits take beyond the repository's history."""
    out = call_git(
        common_dir, f"--git-dir={common_dir}", "rev-list", "--objects", "--disk-usage", "--stdin",
        "--not", "--branches", "--tags", "--remotes",
        stdin="".join(f"{commit}\n" for commit in commits).encode(), timeout=timeout,
    )  # fmt: skip
    return int(out)
