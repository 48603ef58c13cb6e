"""Which commits a push brings to a remote, and which DVC objects they introduce.

Everything is asked of Git in a handful of calls, however many commits there are: what each commit
changed comes from one ``git diff-tree --stdin``, and each blob is read and parsed once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlflow_dvc_plugin.gitrepo import call_git, call_git_z

if TYPE_CHECKING:
    from mlflow_dvc_plugin.sync.stated import Wanted

_TIMEOUT = 300.0
_PATHS = ("*.dvc", "*dvc.lock", "*dvc.yaml")


@dataclass
class Outgoing:
    """What the new commits introduce: each object with the first (commit, path) that needs it.

    ``broken`` maps ``commit:path`` of metadata that cannot be read to the reason.
    """

    wanted: dict[Wanted, tuple[str, str]] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Change:
    """One metadata file that differs between a commit and one of its parents; blobs by id."""

    path: str
    old: str | None
    new: str | None


def pushed(lines: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the local ids, and the ids the remote had, from the lines that Git gives pre-push."""
    local, remote = [], []
    for line in lines:
        words = line.split()
        if len(words) == 4 and set(words[1]) != {"0"}:
            local.append(words[1])
            remote += [words[3]] if set(words[3]) != {"0"} else []
    return list(dict.fromkeys(local)), list(dict.fromkeys(remote))


def told_by_framework(
    toplevel: str, environ: Mapping[str, str]
) -> tuple[list[str], list[str], list[str]]:
    """Return local ids, ids the remote has, and Git's arguments, as the pre-commit framework says.

    It names one ref, the first that brings commits, and no ids when these begin with a root commit
    (pre_commit/commands/hook_impl.py, _pre_push_ns).
    """
    told = {
        name: environ.get(f"PRE_COMMIT_{name}", "")
        for name in ("FROM_REF", "TO_REF", "LOCAL_BRANCH", "REMOTE_NAME", "REMOTE_URL")
    }
    local = _present(toplevel, [told["TO_REF"] or told["LOCAL_BRANCH"]])
    known = _present(toplevel, [told["FROM_REF"]])
    return local, known, [told["REMOTE_NAME"], told["REMOTE_URL"]]


def new_commits(
    toplevel: str, local: Sequence[str], known: Sequence[str], remote: str | None
) -> list[str]:
    """Return the commits reachable from ``local`` that ``remote`` lacks, parents first.

    ``known`` are ids that the remote has, whether or not this repository has them; ``remote`` None
    asks for those that no remote has.
    """
    if not local:
        return []
    request = "".join(f"{commit}\n" for commit in local).encode()
    here = [f"^{commit}" for commit in _present(toplevel, known)]
    there = f"--remotes={remote}" if remote else "--remotes"
    out = call_git(
        toplevel, "rev-list", "--topo-order", "--reverse", *here, "--stdin", "--not", there,
        stdin=request, timeout=_TIMEOUT,
    )  # fmt: skip
    return out.decode().split()


def _present(toplevel: str, ids: Sequence[str]) -> list[str]:
    """Return the ids of those that are commits of this repository; names of refs are ids, too."""
    request = "".join(f"{name}^{{commit}}\n" for name in ids if name).encode()
    if not request:
        return []
    out = call_git(toplevel, "cat-file", "--batch-check", stdin=request).decode()
    words = [line.split(" ") for line in out.splitlines()]
    return [line[0] for line in words if len(line) == 3 and line[1] == "commit"]


def introduced(toplevel: str, commits: Sequence[str]) -> Outgoing:
    """Return the objects that the commits state and none of their parents does."""
    changes = _changes(toplevel, commits)
    outgoing = Outgoing()
    if not changes:
        return outgoing
    from mlflow_dvc_plugin.sync.stated import Reader

    reader = Reader(toplevel, _roots(toplevel, changes))
    outgoing.broken = reader.broken
    reader.prefetch(_dvcfiles(changes.values()))
    for commit, parents in changes.items():
        new = _in_all(parents)
        before: set[Wanted] = set()
        for number, parent in enumerate(parents, 1):
            for change in parent:
                before.update(reader.objects(f"{commit}^{number}", change.path, change.old))
        for path, blob in new.items():
            for wanted, data in reader.objects(commit, path, blob).items():
                if wanted not in before:
                    outgoing.wanted.setdefault(wanted, (commit, data))
    return outgoing


def _dvcfiles(changes: Iterable[list[list[_Change]]]) -> Iterator[str]:
    """Yield the ids of all ``.dvc`` files, before and after."""
    for parents in changes:
        for parent in parents:
            for change in parent:
                if change.path.endswith(".dvc"):
                    yield from (blob for blob in (change.old, change.new) if blob)


def _in_all(parents: list[list[_Change]]) -> dict[str, str]:
    """Return path -> blob of what differs from every parent: a merge introduces nothing else."""
    first, *others = parents
    same = [{change.path for change in other} for other in others]
    return {
        change.path: change.new
        for change in first
        if change.new and all(change.path in paths for paths in same)
    }


def _changes(toplevel: str, commits: Sequence[str]) -> dict[str, list[list[_Change]]]:
    """Return, for each commit that changes DVC metadata, what differs from each of its parents."""
    request = "".join(f"{commit}\n" for commit in commits).encode()
    records = call_git_z(
        toplevel, "diff-tree", "--stdin", "-r", "-m", "--root", "-z", "--raw", "--no-renames",
        "--no-abbrev", "--", *_PATHS, stdin=request, timeout=_TIMEOUT,
    )  # fmt: skip
    asked = set(commits)
    found: dict[str, list[list[_Change]]] = {}
    commit, index = "", 0
    while index < len(records):
        record = records[index]
        if record.startswith(":"):
            _, new_mode, old, new, _ = record[1:].split(" ")
            path = records[index + 1]
            regular = new_mode.startswith("100")
            change = _Change(path, old if set(old) != {"0"} else None, new if regular else None)
            found[commit][-1].append(change)
            index += 2
            continue
        commit = record.strip()
        if commit in asked:
            found.setdefault(commit, []).append([])
        index += 1
    return {commit: parents for commit, parents in found.items() if any(parents)}


def _roots(toplevel: str, commits: Iterable[str]) -> set[str]:
    """Return the DVC repositories that the newest of the commits has, relative to the toplevel."""
    paths: list[str] = []
    for commit in list(commits)[-1:]:
        paths += call_git_z(toplevel, "ls-tree", "-r", "-z", "--full-tree", "--name-only", commit)
    ending = ".dvc/config"
    folders = (path[: -len(ending)] for path in paths if f"/{path}".endswith(f"/{ending}"))
    return {folder.rstrip("/") for folder in folders}
