"""Share a run: its code on a Git remote, its data on the DVC remote."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import GitError, call_git, call_git_z
from mlflow_dvc_plugin.gitrepo.snapshot import SHARED
from mlflow_dvc_plugin.lineage.commits import held_by
from mlflow_dvc_plugin.lineage.needs import Need, needs_of
from mlflow_dvc_plugin.lineage.record import Record
from mlflow_dvc_plugin.lineage.revision import Revisions
from mlflow_dvc_plugin.sync.stores import store_of
from mlflow_dvc_plugin.sync.upload import Progress, carry_out, plan

_TIMEOUT = 3600.0


@dataclass
class Pushed:
    """What a push did: ``code`` are commits that went, ``there`` those that were on the remote.

    ``data`` counts uploaded objects by DVC remote; ``problems`` are sentences for a person.
    """

    remote: str
    code: list[str] = field(default_factory=list)
    there: list[str] = field(default_factory=list)
    data: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def push(
    worktree: Worktree, runs: Sequence[Record], remote: str | None, progress: Progress
) -> Pushed:
    """Bring the runs' code and input data to where others can fetch them.

    ``remote`` is a Git remote, the one there is, or ``origin``, when None. A commit that no branch
    of the remote holds goes under ``refs/mlflow-dvc/snapshots/``, which nobody fetches unasked.
    Raises MlflowDvcError when a remote does not take it.
    """
    done = Pushed(remote or _only_remote(worktree))
    _push_data(worktree, runs, done, progress)
    _push_code(worktree, runs, done)
    return done


def _only_remote(worktree: Worktree) -> str:
    names = call_git(worktree.toplevel, "remote").decode().split()
    if "origin" in names:
        return "origin"
    if len(names) != 1:
        hint = "git remote add origin URL" if not names else "mlflow-dvc push --remote NAME RUN"
        raise MlflowDvcError("which Git remote? there is no 'origin'", hint)
    return names[0]


def _push_code(worktree: Worktree, runs: Iterable[Record], done: Pushed) -> None:
    wanted = []
    for run in runs:
        if run.code is None:
            done.problems.append(f"run {run.run_id}: its commit is not known")
        elif not _is_here(worktree, run.code):
            done.problems.append(f"run {run.run_id}: its commit {run.code[:10]} is not here")
        elif run.dirty and run.snapshot is None:
            done.problems.append(f"run {run.run_id}: its tree was dirty, and was not kept")
        else:
            wanted.append(run.code)
    there = held_by(worktree, done.remote, wanted)
    for commit in dict.fromkeys(wanted):
        (done.there if commit in there else done.code).append(commit)
    if done.code:
        # Git LFS uploads in the user's pre-push; ours has nothing left to do.
        # Whatever the user's settings add to a push: it sends these commits, and nothing else.
        call_git(
            worktree.toplevel, "-c", f"remote.{done.remote}.mirror=false", "push", "--quiet",
            "--no-follow-tags", "--recurse-submodules=no", "--end-of-options", done.remote,
            *(f"{commit}:{SHARED}{commit}" for commit in done.code),
            timeout=_TIMEOUT, env={"MLFLOW_DVC_SKIP_HOOKS": "1"},
        )  # fmt: skip


def _is_here(worktree: Worktree, commit: str) -> bool:
    try:
        call_git(worktree.toplevel, "cat-file", "-e", f"{commit}^{{commit}}")
    except GitError:
        return False
    return True


def _push_data(
    worktree: Worktree, runs: Iterable[Record], done: Pushed, progress: Progress
) -> None:
    for (root, name, legacy), needs in _grouped(worktree, runs, done).items():
        tip = call_git_z(worktree.toplevel, "rev-parse", "HEAD")[0].strip()
        store = store_of(worktree, root, tip)
        chosen = name or store.default
        if chosen is None:
            done.problems.append("no default DVC remote is configured: the data stays here")
            continue
        remote = store.remote(chosen)
        if remote.versioned:
            text = f"DVC remote '{chosen}' keeps versions of files: nothing is pushed to it here"
            done.problems.append(text)
            continue
        wanted = {need.hash: (run.run_id, need.path) for need, run in needs.items()}
        what = plan(store, remote, legacy, wanted, progress)
        for (run_id, path), reason in what.unknown.values():
            done.problems.append(f"run {run_id}: whether {path} is there is unknown ({reason})")
        for run_id, path in what.missing.values():
            done.problems.append(f"run {run_id}: {path} is in neither the cache nor '{chosen}'")
        done.data[chosen] = done.data.get(chosen, 0) + carry_out(what, progress)


def _grouped(
    worktree: Worktree, runs: Iterable[Record], done: Pushed
) -> dict[tuple[str, str | None, bool], dict[Need, Record]]:
    revisions = Revisions(worktree.toplevel)
    groups: dict[tuple[str, str | None, bool], dict[Need, Record]] = {}
    for run in runs:
        found = needs_of(run, revisions)
        done.problems += [f"run {run.run_id}: {what}: {why}" for what, why in found.unknown.items()]
        for need in found.needs:
            if need.kept and need.pushed:
                key = (need.root, need.remote, need.legacy)
                groups.setdefault(key, {})[need] = run
    return groups
