"""Which repositories a run is brought back from, and into which folders."""

from __future__ import annotations

import os
from dataclasses import dataclass

from mlflow_dvc_plugin.capture import places
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree, find_worktree
from mlflow_dvc_plugin.lineage.record import Record

_SHORT = 8  # of a run id, in the name of a folder


@dataclass(frozen=True)
class How:
    """What is asked for: ``only`` is ``code`` or ``data``, ``everything`` means every output."""

    to: str | None = None
    in_place: bool = False
    only: str | None = None
    everything: bool = False
    dry_run: bool = False
    data_repo: str | None = None


@dataclass(frozen=True)
class Part:
    """One repository of the run: ``commit`` is to be in ``folder`` (absolute), None: data alone.

    ``states`` is the commit whose metadata tells where the data is kept.
    """

    worktree: Worktree
    commit: str | None
    folder: str
    code: bool
    data: bool
    snapshot: bool = False
    states: str | None = None


def parts_of(run: Record, how: How, start: str) -> list[Part]:
    """Return the repositories to bring back; raises MlflowDvcError when one is not known.

    ``start`` is the absolute folder to look from.
    """
    named = os.environ.get(places.REPO_VARIABLE)
    code = find_worktree(start) or (find_worktree(_real(named)) if named else None)
    apart = run.data_rev is not None
    data = _data_worktree(run, how, start, code) if apart and how.only != "code" else code
    here = code if how.only != "data" else data
    if here is None:
        raise MlflowDvcError("this is no Git worktree", "go to the project, or: git clone")
    if run.code is None and how.only != "data":
        raise MlflowDvcError(
            f"the run {run.run_id} names no commit: its code is not known",
            f"mlflow-dvc restore {run.run_id} --only data",
        )
    main = here.toplevel if how.in_place else _folder(run, how, here)
    snapshot = run.snapshot is not None
    if how.only == "data":
        states = run.states
        whole = states == run.snapshot
        return [Part(here, None, main, code=False, data=True, snapshot=whole, states=states)]
    both = how.only is None
    first = Part(
        here, run.code, main, code=True, data=both and not apart, snapshot=snapshot,
        states=run.code,
    )  # fmt: skip
    if not (apart and both) or data is None:
        return [first]
    beside = data.toplevel if how.in_place else _second(main, here, data)
    second = Part(data, run.data_rev, beside, code=False, data=True, states=run.data_rev)
    return [first, second]


def _folder(run: Record, how: How, worktree: Worktree) -> str:
    if how.to:
        return _real(how.to)
    name = "".join(char for char in run.run_id if char.isalnum())[:_SHORT]
    return f"{worktree.main or worktree.toplevel}-{name}"


def _second(main: str, code: Worktree, data: Worktree) -> str:
    """Return the data repository's folder: inside the code's where it is there now, else beside."""
    inside = os.path.relpath(data.toplevel, code.toplevel)
    if inside.split(os.sep)[0] != os.pardir:
        return os.path.join(main, inside)
    return f"{main}-{os.path.basename(data.toplevel)}"


def _real(path: str) -> str:
    full = os.path.abspath(os.path.expanduser(path))
    return os.path.join(os.path.realpath(os.path.dirname(full)), os.path.basename(full))


def _data_worktree(run: Record, how: How, start: str, code: Worktree | None) -> Worktree:
    named = how.data_repo or os.environ.get(places.REPO_VARIABLE)
    folder = os.path.abspath(os.path.expanduser(named)) if named else start
    root = places.find_dvc_root(places.Start(folder, named=bool(named)), code)
    found = find_worktree(root) if root else None
    if found is None or found == code:
        raise MlflowDvcError(
            f"the run's data is in another repository (commit {run.data_rev}), not in {folder}",
            f"mlflow-dvc restore {run.run_id} --data-repo DIR",
        )
    return found
