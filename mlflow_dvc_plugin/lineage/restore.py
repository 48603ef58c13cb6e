"""Bring back the code and the data of a run.

All that is needed is fetched, and read, before anything is made: what cannot be had is named, and
nothing is half done. The hashes are those of the run's tags, not those that its commit states.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial

from mlflow_dvc_plugin import gitrepo
from mlflow_dvc_plugin.capture.background import Background
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import call_git, is_here, remote_names
from mlflow_dvc_plugin.lineage import beside, fetchcode, inplace
from mlflow_dvc_plugin.lineage.outcome import Outcome
from mlflow_dvc_plugin.lineage.parts import How, Part, parts_of
from mlflow_dvc_plugin.lineage.record import Record
from mlflow_dvc_plugin.lineage.rundata import RunData
from mlflow_dvc_plugin.lineage.standing import MovedError, Put
from mlflow_dvc_plugin.lineage.stock import without_inner
from mlflow_dvc_plugin.storage import Progress

_SECONDS = 600.0


def restore(run: Record, how: How, start: str, progress: Progress) -> Outcome:
    """Bring the run back; raises MlflowDvcError when nothing could be, and nothing was changed."""
    parts = parts_of(run, how, start)
    outcome = Outcome(run.run_id)
    try:
        return _restore(run, parts, how, outcome, progress, later=True)
    except MovedError as error:  # it has taken away again what it had made
        if error.args:
            raise MlflowDvcError(f"{_MOVED}\n{error}") from error
        first, outcome = outcome, Outcome(run.run_id, commits_from=outcome.commits_from)
    try:
        _restore(run, parts, how, outcome, progress, later=False)
    except MovedError as error:
        text = "\n".join((_MOVED, *map(str, error.args)))
        raise MlflowDvcError(text, f"mlflow-dvc restore {run.run_id}") from error
    outcome.fetched += first.fetched  # they came for this one, too
    outcome.size = (outcome.size or 0) + (first.size or 0)
    return outcome


_MOVED = "objects of the DVC cache change while they are linked: nothing was brought back"


def _restore(  # noqa: PLR0913
    run: Record, parts: list[Part], how: How, outcome: Outcome, progress: Progress, *, later: bool
) -> Outcome:
    for part in parts:
        _require_room(part, how)
        _fetch_commit(part, how, outcome)
    for part in parts:
        if part.code:
            outcome.lacking.update(_lost_code(run))
    with ExitStack() as ends:
        work = []
        for part in parts:
            data = RunData(run, part, how, outcome, progress, later=later)
            ends.callback(data.stock.end)
            work.append((part, data))
        outcome.folders = {part.folder: part.commit or "" for part in parts}
        if outcome.missing and any(data.unsure for _, data in work):
            raise MovedError  # it is not linked, so nobody would look: name all that is missing
        if how.dry_run or outcome.missing:
            return outcome
        if how.in_place:
            _in_place(work, outcome, run)
        else:
            _beside(work, outcome, run)
        outcome.made = True
    return outcome


def _require_room(part: Part, how: How) -> None:
    if not how.in_place:
        beside.require_free(part.worktree, part.folder)
        return
    if part.commit:
        inplace.require_clean(part.worktree)
    if part.data:
        inplace.require_saved(part.worktree)


def _fetch_commit(part: Part, how: How, outcome: Outcome) -> None:
    if part.states is None or is_here(part.worktree.toplevel, part.states):
        return
    if how.dry_run:
        remotes = ", ".join(remote_names(part.worktree.toplevel)) or "there is no Git remote"
        outcome.notes.append(f"commit {part.states} is not here and would be asked for: {remotes}")
        return
    try:
        remote = fetchcode.ensure(part.worktree, part.states, snapshot=part.snapshot)
    except MlflowDvcError:
        if part.commit is not None:
            raise
    else:
        outcome.commits_from[part.states] = remote or ""


def _lost_code(run: Record) -> Iterator[tuple[str, str]]:
    if run.dirty and run.snapshot is None:
        why = f": {run.incomplete[0]}" if run.incomplete else ""
        yield "uncommitted changes", f"the tree was dirty, and no snapshot of it was kept{why}"
        return
    for path in run.incomplete:
        yield path, "it is not in the snapshot"


def _beside(work: list[tuple[Part, RunData]], outcome: Outcome, run: Record) -> None:
    """Make the folders and fill them; when that fails, take them away again."""
    done = Put()
    begun: list[tuple[Part, bool]] = []
    try:
        for part, data in work:
            was_there = os.path.isdir(part.folder)
            made = _make(part)
            begun.append((part, was_there))
            data.stock.settle(part.folder)
            # What only asks Git is done while the data comes.
            check = partial(_check_code, run, made if part.code else None, outcome)
            with Background(check) as asked, _adopting(made, part, data):
                data.put(done)
                asked.result()
                data.check(outcome, done)
    except BaseException as error:
        for _, data in work:
            data.renew(done, moved=isinstance(error, MovedError))
        _undo(begun, done, error)
        raise


def _adopting(made: Worktree | None, part: Part, data: RunData) -> AbstractContextManager[None]:
    if made is None or not part.data:
        return nullcontext()
    return inplace.adopting(made, data.needs, data.stock.cache_of)


def _make(part: Part) -> Worktree | None:
    if part.commit is None:
        os.makedirs(part.folder, exist_ok=True)
        return None
    return beside.make(part.worktree, part.folder, part.commit)


def _undo(begun: list[tuple[Part, bool]], done: Put, error: BaseException) -> None:
    for part, was_there in reversed(begun):
        stays = beside.take_back(
            part.worktree, part.folder, part.commit, done.all(), keep=was_there
        )
        if stays and isinstance(error, MlflowDvcError):
            error.args = (f"{error.message}\n{stays}",)
            error.message = f"{error.message}\n{stays}"
        elif stays and isinstance(error, MovedError):
            error.args = (stays,)


def _in_place(work: list[tuple[Part, RunData]], outcome: Outcome, run: Record) -> None:
    _check_out([part for part, _ in work if part.commit], outcome)
    try:
        for part, data in work:
            if part.code:
                _check_code(run, part.worktree, outcome)
            if part.data:
                _follow(part, data, outcome)
            data.check(outcome, None)
    except MlflowDvcError as error:
        if outcome.back:
            error.hint = f"to go back: git checkout {outcome.back} && mlflow-dvc sync"
        raise


def _check_out(parts: list[Part], outcome: Outcome) -> None:
    """Go to the commits of all parts, or of none."""
    left: list[tuple[Part, str]] = []
    try:
        for part in parts:
            back = inplace.check_out(part.worktree, part.commit or "")
            left.append((part, back))
    except BaseException:
        for part, back in left:
            inplace.go_back(part.worktree, back)
        raise
    outcome.back = left[0][1] if left else None


def _follow(part: Part, data: RunData, outcome: Outcome) -> None:
    data.stock.settle(part.folder)
    objects = [need for need in without_inner(data.needs) if need.kept]
    failed = inplace.follow(
        part.worktree, objects, data.stock.cache_of, data.executable,
        metadata_too=part.commit is not None,
    )  # fmt: skip
    named = {need.path for need in objects}
    outcome.lacking.update({path: why for path, why in failed.items() if path in named})
    outcome.notes += [why for path, why in sorted(failed.items()) if path not in named]


def _check_code(run: Record, made: Worktree | None, outcome: Outcome) -> None:
    if made is None:
        return
    tree = call_git(made.toplevel, "rev-parse", "HEAD^{tree}").decode().strip()
    if run.tree and run.tree != tree and (run.snapshot or run.dirty is False):
        outcome.lacking["code"] = f"its tree is {tree}, and the run's tag says {run.tree}"
    status = gitrepo.status(made, _SECONDS, untracked=False)
    if status.changed:
        some = ", ".join(status.changed[:3])
        outcome.notes.append(f"differs right after the checkout, by filters or settings: {some}")
    modules = call_git(made.toplevel, "ls-files", "-s", "-z").split(b"\0")
    if any(line.startswith(b"160000 ") for line in modules):
        outcome.notes.append("submodules are left out: git submodule update --init --recursive")
