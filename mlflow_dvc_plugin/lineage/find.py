"""``mlflow-dvc runs``: from a commit, a path, a hash or a DVC experiment to the runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import call_git, is_shallow
from mlflow_dvc_plugin.lineage.ahead import Ahead, read_commit
from mlflow_dvc_plugin.lineage.bydata import runs_of_hash, runs_of_path
from mlflow_dvc_plugin.lineage.hits import UNKNOWN, Answer, Hit, Scope, each_once
from mlflow_dvc_plugin.lineage.record import DATA_REV
from mlflow_dvc_plugin.lineage.resolve import undelete
from mlflow_dvc_plugin.lineage.store import quoted
from mlflow_dvc_plugin.lineage.what import What
from mlflow_dvc_plugin.tags import BRANCH, COMMIT

_HEX = re.compile(r"[0-9a-f]+\Z")


def find_runs(scope: Scope, worktree: Worktree | None, what: What) -> Answer:
    """Return the runs, asked for while ``hits`` is read. Raises MlflowDvcError, then too."""
    answer = Answer(what.kind)
    if what.kind in ("commit", "range") and worktree is not None:
        found = _of_commits(scope, worktree, what, answer)
    elif what.kind == "path" and worktree is not None:
        found = runs_of_path(scope, worktree, what, answer)
    elif what.kind == "hash":
        found = _of_hash(scope, worktree, what, answer)
    else:
        found = _of_name(scope, worktree, what, answer)
    answer.hits = each_once(found)
    return answer


def _of_commits(scope: Scope, worktree: Worktree, what: What, answer: Answer) -> Iterator[Hit]:
    ahead = Ahead(worktree.toplevel)
    any_run = False
    for number, commit in enumerate(what.commits):
        scope.progress("commits", number, len(what.commits))
        for hit in ahead.hits(scope, read_commit(worktree.toplevel, commit), answer):
            any_run = True
            yield hit
    if what.kind == "range" and is_shallow(worktree.toplevel):
        answer.gaps["history"] = "this clone is shallow: the range may have more commits"
    if not any_run:
        queries = (f"tags.`{COMMIT}` = '{commit}'" for commit in what.commits)
        _note_deleted(scope, queries, answer)
        if what.kind == "commit":
            answer.notes += _history(worktree, what)


def _history(worktree: Worktree, what: What) -> list[str]:
    """Name the range that ends in the commit, as far as there are commits before it."""
    counted = call_git(
        worktree.toplevel, "rev-list", "--count", "--first-parent", "--max-count=21",
        what.commits[0], "--",
    )  # fmt: skip
    back = int(counted) - 1
    if back < 1:
        return []
    return [f"for its history's: mlflow-dvc runs {what.text}~{back}..{what.text}"]


def _note_deleted(scope: Scope, queries: Iterable[str], answer: Answer) -> None:
    for query in queries:
        run = next(scope.runs(query, limit=1, deleted=True), None)
        if run is not None:
            answer.notes.append(f"run {run.run_id} would be one, and is deleted: {undelete(run)}")
            return


def _of_hash(scope: Scope, worktree: Worktree | None, what: What, answer: Answer) -> Iterator[Hit]:
    """Yield the runs of a commit that is not here, by its tag, and those with data of this hash."""
    any_run = False
    if _HEX.match(what.text):
        for run in scope.runs(f"tags.`{COMMIT}` LIKE '{what.text}%'"):
            if not any_run:
                answer.gaps[f"commit {run.commit}"] = (
                    "it is not here (rebased away, or not fetched): whether it holds runs that "
                    "were made before it is unknown"
                )
            any_run = True
            yield Hit(run, "started", UNKNOWN, ("the commit is not here",), run.commit)
        for run in scope.runs(f"tags.`{DATA_REV}` LIKE '{what.text}%'"):
            any_run = True
            yield Hit(run, "data commit", UNKNOWN, ("the commit is not here",), run.data_rev)
    if len(what.text) <= len("0" * 32 + ".dir"):
        for hit in runs_of_hash(scope, worktree, what.text, answer):
            any_run = True
            yield hit
    if not any_run:
        _note_deleted(scope, [f"tags.`{COMMIT}` LIKE '{what.text}%'"], answer)


def _of_name(scope: Scope, worktree: Worktree | None, what: What, answer: Answer) -> Iterator[Hit]:
    """Yield the runs of a DVC experiment, else of a path or branch that is here no more."""
    any_run = False
    for run in scope.runs(f"tags.`dvc.exp` = {quoted(what.text)}"):
        any_run = True
        answer.kind = "experiment"
        yield Hit(run, "experiment", commit=run.commit)
    if any_run:
        return
    if worktree is not None:
        for hit in runs_of_path(scope, worktree, what, answer):
            any_run = True
            yield hit
    if any_run or answer.versions:
        answer.kind = "path"
        return
    for run in scope.runs(f"tags.`{BRANCH}` = {quoted(what.text)}"):
        any_run = True
        answer.kind = "branch"
        yield Hit(run, "started", UNKNOWN, ("the branch is not here",), run.commit)
    if not any_run:
        raise MlflowDvcError(
            f"'{what.text}' is no commit, range, data path, data hash or DVC experiment",
            "git fetch --all --tags, or mlflow-dvc runs --help",
        )
