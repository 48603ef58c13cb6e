"""What the post-* hooks do: let the data follow, and say what did not."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

from mlflow_dvc_plugin import gitdir
from mlflow_dvc_plugin.config import read_settings
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.sync.early import Early
from mlflow_dvc_plugin.sync.engine import Report, sync
from mlflow_dvc_plugin.sync.events import state_folder
from mlflow_dvc_plugin.sync.incoming import take_stash_index
from mlflow_dvc_plugin.sync.standing import keep_failure

_NAMED = 5
_FAILED = 3  # the scripts let this one through, and no crash


def after(event: str, args: Sequence[str], early: Early | None = None) -> int:
    """Sync after a Git event; the exit code is 0, with ``strict_hooks`` 3 when something failed.

    ``args`` are Git's and decide nothing: what has changed on disk does; ``early`` is a look at it
    that has begun.
    """
    del event, args
    worktree = gitdir.require_worktree(os.getcwd())
    strict = read_settings(worktree.toplevel)[0].strict_hooks
    index = take_stash_index(worktree)
    try:
        report = sync(worktree, index=index, early=early)
    except (MlflowDvcError, OSError) as error:
        hint = getattr(error, "hint", "") or "mlflow-dvc sync"
        text = f"the data was not looked at: {_printable(str(error))}"
        print(f"mlflow-dvc: {text}; run: {hint}", file=sys.stderr)
        keep_failure(worktree, text, hint)
        return _FAILED if strict else 0
    failed = strict and not report.in_sync
    # What comes out of a stash is not there yet: the scripts will know it only after another look.
    _mark(os.path.join(state_folder(worktree), "pending"), failed or bool(index))
    for line in lines(report):
        print(f"mlflow-dvc: {_printable(line)}", file=sys.stderr)
    return _FAILED if failed else 0


def _mark(pending: str, again: bool) -> None:
    """Leave word for the hook that Git calls next: it ignores the code of post-index-change."""
    if again:
        with open(pending, "wb"):
            return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(pending)


def _printable(text: str) -> str:
    """Return the text without what a terminal would obey: file names are anybody's."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )


def lines(report: Report) -> list[str]:
    """Return what a person should read; what was said before is only counted."""
    found = []
    for word in ("updated", "removed"):
        paths = sorted(path for path, what in report.done.items() if what == word)
        if paths:
            more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
            found.append(f"{word} {', '.join(paths[:_NAMED])}{more}")
    found += report.notes
    new = [one for one in report.problems.values() if one not in report.known]
    for one in new[:_NAMED]:
        found.append(f"{one.text}; run: {one.hint}")
    rest = len(report.problems) - min(len(new), _NAMED)
    if rest:
        found.append(f"not in sync: {rest} more; see: mlflow-dvc sync --dry-run")
    return found
