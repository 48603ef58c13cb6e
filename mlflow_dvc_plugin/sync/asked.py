"""Which events `mlflow-dvc install --event` was asked for; no file: all that are of use.

Without it, a hook that was never wanted and one that another tool has overwritten look the same.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.sync.events import EVENTS


def asked_for(worktree: Worktree) -> frozenset[str] | None:
    """Return the events, None when all were asked for, or none yet."""
    try:
        with open(_file(worktree), encoding="utf-8") as file:
            return frozenset(file.read().split()) & frozenset(EVENTS) or None
    except (OSError, UnicodeDecodeError):
        return None


def remember(worktree: Worktree, events: Iterable[str], *, installed: bool) -> None:
    """Keep what was asked for; ``installed`` tells whether any of our hooks were there before.

    Some more events add to those from before; raises OSError.
    """
    before = asked_for(worktree)
    if not events:
        forget(worktree)
    elif before is not None or not installed:
        os.makedirs(os.path.dirname(_file(worktree)), exist_ok=True)
        with open(_file(worktree), "w", encoding="utf-8") as file:
            file.writelines(f"{event}\n" for event in sorted({*events, *(before or ())}))


def forget(worktree: Worktree) -> None:
    """Ask for nothing in particular any more."""
    with contextlib.suppress(OSError):
        os.unlink(_file(worktree))
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(_file(worktree)))


def _file(worktree: Worktree) -> str:
    """Return the file's path: linked worktrees share their hooks, so it is the main one's."""
    return os.path.join(worktree.common_dir, "mlflow-dvc", "asked")
