"""What the last sync could not do, less what has been mended since."""

from __future__ import annotations

import contextlib

from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.sync.engine import sync
from mlflow_dvc_plugin.sync.events import state_folder
from mlflow_dvc_plugin.sync.ledger import Ledger, Problem

_WHOLE = ""  # the path of a problem of all data


def standing(worktree: Worktree) -> list[Problem]:
    """Return what is not in sync, by path; where nothing had failed, nothing is looked at again.

    `dvc pull` mends without any Git event, so what was kept may not be so any more.
    """
    kept = Ledger.read(state_folder(worktree)).problems
    if not kept:
        return []
    try:
        report = sync(worktree, dry_run=True)
    except (MlflowDvcError, OSError):
        return list(kept.values())
    found = dict(report.problems)
    for path, what in report.done.items():
        text = f"{path} is not in sync: it would be {what} now"
        found.setdefault(path, Problem(path, text, "mlflow-dvc sync"))
    return [found[path] for path in sorted(found)]


def keep_failure(worktree: Worktree, text: str, hint: str) -> None:
    """Keep that no data was looked at, until a sync does; a full disk keeps nothing."""
    folder = state_folder(worktree)
    ledger = Ledger.read(folder)
    ledger.problems[_WHOLE] = Problem(_WHOLE, text, hint)
    with contextlib.suppress(OSError):
        ledger.save(folder)
