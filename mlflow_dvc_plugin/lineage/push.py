"""Share a run: its code on a Git remote, its data on the DVC remote."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from mlflow_dvc_plugin.capture.places import REPO_VARIABLE
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import NO_OWN_HOOKS, call_git, is_here, remote_names
from mlflow_dvc_plugin.gitrepo.snapshot import SHARED
from mlflow_dvc_plugin.lineage.commits import known_there
from mlflow_dvc_plugin.lineage.datarepo import data_worktree
from mlflow_dvc_plugin.lineage.needs import Need, needs_of
from mlflow_dvc_plugin.lineage.record import Record
from mlflow_dvc_plugin.lineage.revision import Revisions
from mlflow_dvc_plugin.storage import Progress
from mlflow_dvc_plugin.sync.stores import store_of
from mlflow_dvc_plugin.sync.upload import carry_out, plan

_TIMEOUT = 3600.0  # seconds
# (worktree, DVC repository in it, the output's own remote, whether DVC 2.x made the objects)
_Group = tuple[Worktree, str, str | None, bool]


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

    ``remote`` is a Git remote, the one there is, or ``origin``, when None. A commit that the
    remote has not got goes under ``refs/mlflow-dvc/snapshots/``, which nobody fetches unasked.
    Raises MlflowDvcError when a remote does not take it.
    """
    done = Pushed(remote or _only_remote(worktree))
    other = data_worktree(worktree)
    homes = [(run, other if run.data_rev else worktree) for run in runs]
    _push_data(homes, done, progress)
    _push_code(worktree, done.remote, _code(worktree, runs, done), done)
    revs = [run.data_rev for run in runs if run.data_rev and other]
    if other and revs:
        _push_code(other, _only_remote(other), revs, done)
    return done


def _only_remote(worktree: Worktree) -> str:
    names = remote_names(worktree.toplevel)
    if names[:1] != ["origin"] and len(names) != 1:
        hint = "git remote add origin URL" if not names else "mlflow-dvc push --remote NAME RUN"
        raise MlflowDvcError("which Git remote? there is no 'origin'", hint)
    return names[0]


def _code(worktree: Worktree, runs: Iterable[Record], done: Pushed) -> Iterator[str]:
    """Yield the commits that hold the code of the runs; what is in none is a problem."""
    for run in runs:
        if run.code is None:
            done.problems.append(f"run {run.run_id}: its commit is not known")
        elif not is_here(worktree.toplevel, run.code):
            done.problems.append(f"run {run.run_id}: its commit {run.code[:10]} is not here")
        elif run.dirty and run.snapshot is None:
            done.problems.append(f"run {run.run_id}: its tree was dirty, and was not kept")
        else:
            yield run.code


def _push_code(worktree: Worktree, remote: str, commits: Iterable[str], done: Pushed) -> None:
    wanted = list(dict.fromkeys(commits))
    there = known_there(worktree, remote, wanted) if wanted else set()
    new = [commit for commit in wanted if commit not in there]
    if new:
        # Git LFS uploads in the user's pre-push; ours has nothing left to do.
        # Whatever the user's settings add to a push: it sends these commits, and nothing else.
        call_git(
            worktree.toplevel, "-c", f"remote.{remote}.mirror=false", "push", "--quiet",
            "--no-follow-tags", "--recurse-submodules=no", "--end-of-options", remote,
            *(f"{commit}:{SHARED}{commit}" for commit in new), timeout=_TIMEOUT, env=NO_OWN_HOOKS,
        )  # fmt: skip
    done.there += [commit for commit in wanted if commit in there]
    done.code += new


def _push_data(
    homes: Iterable[tuple[Record, Worktree | None]], done: Pushed, progress: Progress
) -> None:
    for (worktree, root, name, legacy), needs in _grouped(homes, done).items():
        tip = next(iter(needs.values())).states or "HEAD"
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
    homes: Iterable[tuple[Record, Worktree | None]], done: Pushed
) -> dict[_Group, dict[Need, Record]]:
    read: dict[str, Revisions] = {}
    groups: dict[_Group, dict[Need, Record]] = {}
    for run, worktree in homes:
        if worktree is None:
            text = f"its data is in another repository: export {REPO_VARIABLE}=<folder>"
            done.problems.append(f"run {run.run_id}: {text}")
            continue
        revisions = read.setdefault(worktree.toplevel, Revisions(worktree.toplevel))
        found = needs_of(run, revisions)
        done.problems += [f"run {run.run_id}: {what}: {why}" for what, why in found.unknown.items()]
        for need in found.needs:
            if need.kept and need.pushed:
                key = (worktree, need.root, need.remote, need.legacy)
                groups.setdefault(key, {})[need] = run
    return groups
