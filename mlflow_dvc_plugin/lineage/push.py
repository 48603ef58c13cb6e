"""Share a run: its code on a Git remote, its data on the DVC remote."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from mlflow_dvc_plugin.capture.places import REPO_VARIABLE
from mlflow_dvc_plugin.dvcrepo.remote import Remote, Store
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
class Failure:
    """A remote that did not take everything: why, the command that mends it, and whose it was."""

    remote: str
    runs: tuple[str, ...]
    reason: str = ""
    hint: str = ""

    @property
    def text(self) -> str:
        """A sentence that names the remote."""
        named = self.reason.startswith(self.remote)
        return self.reason if named else f"{self.remote}: {self.reason}"


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
    failed: list[Failure] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether everything is where others can fetch it."""
        return not (self.problems or self.failed)


def push(
    worktree: Worktree, runs: Sequence[Record], remote: str | None, progress: Progress,
    data_repo: str | None = None,
) -> Pushed:  # fmt: skip
    """Bring the runs' code and input data to where others can fetch them.

    ``remote`` is a Git remote, the one there is, or ``origin``, when None. A commit that the
    remote has not got goes under ``refs/mlflow-dvc/snapshots/``, which nobody fetches unasked.
    What one remote does not take is in ``failed``: it keeps nothing from the others. Raises
    MlflowDvcError when it is not known which Git remote is meant, or ``data_repo`` is none.
    """
    done = Pushed(remote or _only_remote(worktree))
    other = data_worktree(worktree, data_repo)
    homes = [(run, other if run.data_rev else worktree) for run in runs]
    _push_data(homes, done, progress)
    code = list(_code(worktree, runs, done))
    with _noted(done, f"Git remote '{done.remote}'", [run for run, _ in code]):
        _push_code(worktree, done.remote, [commit for _, commit in code], done)
    apart = [(run, run.data_rev) for run in runs if run.data_rev]
    if other and apart:
        with _noted(done, f"the Git remote of {other.toplevel}", [run for run, _ in apart]):
            _push_code(other, _only_remote(other), [commit for _, commit in apart], done)
    return done


@contextmanager
def _noted(done: Pushed, remote: str, runs: Iterable[Record]) -> Iterator[Failure]:
    """Note what one remote does not take, and go on with the others."""
    failure = Failure(remote, tuple(dict.fromkeys(run.run_id for run in runs)))
    try:
        yield failure
    except MlflowDvcError as error:
        failure.reason, failure.hint = "; ".join(error.message.split("\n")), error.hint
        done.failed.append(failure)


def _only_remote(worktree: Worktree) -> str:
    names = remote_names(worktree.toplevel)
    if names[:1] != ["origin"] and len(names) != 1:
        hint = "git remote add origin URL" if not names else "mlflow-dvc push --remote NAME RUN"
        raise MlflowDvcError("which Git remote? there is no 'origin'", hint)
    return names[0]


def _code(worktree: Worktree, runs: Iterable[Record], done: Pushed) -> Iterator[tuple[Record, str]]:
    """Yield the runs with the commit that holds their code; what is in none is a problem."""
    for run in runs:
        if run.code is None:
            done.problems.append(f"run {run.run_id}: its commit is not known")
        elif not is_here(worktree.toplevel, run.code):
            mend = f"where it was made: mlflow-dvc push {run.run_id}"
            text = f"run {run.run_id}: its commit {run.code[:10]} is not here; {mend}"
            done.problems.append(text)
        elif run.dirty and run.snapshot is None:
            done.problems.append(f"run {run.run_id}: its tree was dirty, and was not kept")
        else:
            yield run, run.code


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
    for group, needs in _grouped(homes, done).items():
        worktree, root, name, _ = group
        where = os.path.join(worktree.toplevel, root).rstrip("/")
        with _noted(done, f"the DVC repository {where}", needs.values()) as failure:
            tip = next(iter(needs.values())).states or "HEAD"
            store = store_of(worktree, root, tip)
            chosen = name or store.default
            if chosen is None:
                done.problems.append("no default DVC remote is configured: the data stays here")
                continue
            failure.remote = f"DVC remote '{chosen}'"
            _push_objects(store.remote(chosen), store, group, needs, done, progress)


def _push_objects(  # noqa: PLR0913, PLR0917
    remote: Remote, store: Store, group: _Group, needs: Mapping[Need, Record], done: Pushed,
    progress: Progress,
) -> None:  # fmt: skip
    if remote.versioned:
        text = f"DVC remote '{remote.name}' keeps versions of files: nothing is pushed to it here"
        done.problems.append(text)
        return
    wanted = {need.hash: (run.run_id, need.path) for need, run in needs.items()}
    what = plan(store, remote, group[-1], wanted, progress)
    for (run_id, path), reason in what.unknown.values():
        done.problems.append(f"run {run_id}: whether {path} is there is unknown ({reason})")
    for run_id, path in what.missing.values():
        done.problems.append(f"run {run_id}: {path} is in neither the cache nor '{remote.name}'")
    done.data[remote.name] = done.data.get(remote.name, 0) + carry_out(what, progress)


def _grouped(
    homes: Iterable[tuple[Record, Worktree | None]], done: Pushed
) -> dict[_Group, dict[Need, Record]]:
    read: dict[str, Revisions] = {}
    groups: dict[_Group, dict[Need, Record]] = {}
    for run, worktree in homes:
        if worktree is None:
            text = f"its data is in another repository: --data-repo DIR, or export {REPO_VARIABLE}"
            done.problems.append(f"run {run.run_id}: {text}")
            continue
        revisions = read.setdefault(worktree.toplevel, Revisions(worktree.toplevel))
        found = needs_of(run, revisions)
        for what, why in found.unknown.items():
            if not what.startswith("commit ") or run.data_rev:  # the code's is told with the code
                done.problems.append(f"run {run.run_id}: {what}: {why}")
        for need in found.needs:
            if need.kept and need.pushed:
                key = (worktree, need.root, need.remote, need.legacy)
                groups.setdefault(key, {})[need] = run
    return groups
