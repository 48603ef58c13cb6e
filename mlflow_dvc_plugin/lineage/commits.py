"""Which commits are in the repository, whole, and on its Git remotes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import GitError, call_git
from mlflow_dvc_plugin.lineage import gitremotes
from mlflow_dvc_plugin.lineage.gitremotes import Remote
from mlflow_dvc_plugin.lineage.place import Place

_TIMEOUT = 300.0
# Where a clone leaves blobs out, questions must not fetch them (Git 2.44 and later ask this).
_NO_FETCH = {"GIT_NO_LAZY_FETCH": "1"}


def places(worktree: Worktree, commits: Iterable[str]) -> dict[str, Place]:
    """Return where each of the commits (ids) is; raises GitError when Git itself fails here.

    It is away when it can be reached from what a remote's references stand at now, those that keep
    snapshots included, or when the remote gives it out by its id.
    """
    ids = sorted(set(commits))
    if not ids:
        return {}
    present = [one for one, kind in _kinds(worktree, ids).items() if kind == "commit"]
    lacking = _incomplete(worktree, present)
    there = [_On(worktree, remote, ids, present) for remote in gitremotes.remotes(worktree)]
    shallow = _is_shallow(worktree)
    return {one: _place(one, one in present, lacking, there, shallow) for one in ids}


def held_by(worktree: Worktree, remote: str, commits: Iterable[str]) -> set[str]:
    """Return those of the commits, all of them here, that the Git remote has now."""
    ids = sorted(set(commits))
    has = _On(worktree, gitremotes.ask(worktree, remote), ids, ids).has if ids else {}
    return {one for one, answer in has.items() if answer is True}


class _On:
    """What one remote has of the commits: ``has`` maps an id to yes, no, or why it is unknown."""

    def __init__(
        self, worktree: Worktree, remote: Remote, ids: Sequence[str], present: Sequence[str]
    ) -> None:
        self.name = remote.name
        self.has: dict[str, bool | str] = {}
        if remote.failed:
            why = f"Git remote '{remote.name}' does not answer ({remote.failed})"
            self.has = dict.fromkeys(ids, why)
            return
        kinds = _kinds(worktree, remote.tips)
        known = [tip for tip, kind in kinds.items() if kind in ("commit", "tag")]
        try:
            left = _unreached(worktree, present, known)
        except GitError as error:  # history is damaged here
            self.has = dict.fromkeys(ids, error.message)
            return
        for one in ids:
            self.has[one] = one in remote.tips or (one in present and one not in left)
        # What the remote has beyond what is known here may hold the commit too.
        complete = None not in kinds.values() and not _is_shallow(worktree)
        ask = [one for one in ids if not self.has[one] and not (complete and one in present)]
        if ask:
            self.has |= gitremotes.served(worktree, remote.name, ask)


def _place(
    one: str, present: bool, lacking: Mapping[str, str], there: Sequence[_On], shallow: bool
) -> Place:
    here = present and one not in lacking
    on = [remote.name for remote in there if remote.has[one] is True]
    if on:
        return Place(here, away=True, where=", ".join(on))
    asked = [remote for remote in there if remote.has[one] is not False]
    if asked:
        why = f"{asked[0].has[one]}, and whether it has the commit is not known"
        return Place(here, None, asked[0].name, why, f"git fetch {asked[0].name}")
    if here:
        why = "it is on no Git remote" if there else "there is no Git remote"
        return Place(here=True, away=False, reason=why, hint=_PUSH if there else _ADD)
    hint = "git fetch --unshallow" if shallow else "git fetch --all; git fsck --lost-found"
    what = lacking.get(one, "it is neither here nor on a Git remote")
    return Place(here=False, away=False, reason=what, hint=hint)


_PUSH = "git push"
_ADD = "git remote add origin URL, and git push"


def _kinds(worktree: Worktree, ids: Iterable[str]) -> dict[str, str | None]:
    """Return the kind of each object that is here, None for one that is not."""
    names = sorted(set(ids))
    if not names:
        return {}
    out = call_git(
        worktree.toplevel, "cat-file", "--batch-check=%(objecttype)", "--buffer",
        stdin="".join(f"{name}\n" for name in names).encode(), timeout=_TIMEOUT, env=_NO_FETCH,
    )  # fmt: skip
    kinds = out.decode().splitlines()
    return {
        name: None if kind.endswith(" missing") else kind
        for name, kind in zip(names, kinds, strict=True)
    }


def _incomplete(worktree: Worktree, commits: Sequence[str]) -> dict[str, str]:
    """Return the commits of which trees or files are missing here, with how many."""
    if not commits or not _missing(worktree, commits):
        return {}
    counts = {one: _missing(worktree, [one]) for one in commits}
    return {
        one: f"{count} of its Git objects are missing here and on every Git remote"
        for one, count in counts.items()
        if count
    }


def _missing(worktree: Worktree, commits: Sequence[str]) -> int:
    """Return how many objects of the commits' trees are missing; history is not looked at."""
    try:
        out = call_git(
            worktree.toplevel, "rev-list", "--objects", "--no-object-names", "--missing=print",
            "--no-walk=unsorted", "--stdin", timeout=_TIMEOUT, env=_NO_FETCH,
            stdin="".join(f"{one}\n" for one in commits).encode(),
        )  # fmt: skip
    except GitError as error:
        if error.code is None:
            raise
        return 1  # an older Git stops at a tree that is missing
    return out.count(b"\n?") + out.startswith(b"?")


def _unreached(worktree: Worktree, commits: Sequence[str], tips: Sequence[str]) -> set[str]:
    """Return those of the commits that cannot be reached from the tips."""
    if not commits or not tips:
        return set(commits)
    asked = [*commits, *(f"^{tip}" for tip in tips)]
    out = call_git(
        worktree.toplevel, "rev-list", "--stdin", timeout=_TIMEOUT,
        stdin="".join(f"{one}\n" for one in asked).encode(),
    )  # fmt: skip
    return set(commits) & set(out.decode().split())


def _is_shallow(worktree: Worktree) -> bool:
    out = call_git(worktree.toplevel, "rev-parse", "--is-shallow-repository")
    return out.strip() == b"true"
