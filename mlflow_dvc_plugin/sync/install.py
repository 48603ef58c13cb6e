"""Put the scripts where Git looks for hooks, and take them away again.

First every event's step is planned from what stands there, then the steps are taken: a dry run is
the plan alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.sync import asked, foreign, scripts
from mlflow_dvc_plugin.sync.events import CHECK_EVENTS, EVENTS
from mlflow_dvc_plugin.sync.foreign import Hook
from mlflow_dvc_plugin.sync.hooksfolder import HooksFolder

FRAMEWORK_CONFIG = ".pre-commit-config.yaml"


@dataclass(frozen=True)
class Step:
    """What is done about one event's hook: in words, and the work itself, in order.

    ``problem`` marks a hook that is left alone though it was asked for.
    """

    event: str
    text: str
    work: tuple[Callable[[], None], ...] = ()
    problem: bool = False


def install(
    folder: HooksFolder, events: Sequence[str] = (), force: bool = False, dry_run: bool = False
) -> list[Step]:
    """Install the events' hooks (default: all that are of use here); return what was done.

    Raises MlflowDvcError when the folder is shared with others and ``force`` does not say yes.
    """
    if folder.shared and not force:
        raise MlflowDvcError(
            f"{folder.path} is not this repository's own: {folder.shared}",
            "mlflow-dvc install --force, or git config core.hooksPath <a folder of its own>",
        )
    python = interpreter(folder)
    chosen = [event for event in EVENTS if event in (events or default_events(folder))]
    steps = [_putting(foreign.look(folder.path, event), python) for event in chosen]
    if not dry_run:
        hooks = (foreign.look(folder.path, event) for event in EVENTS)
        installed = any(hook.kind in ("ours", "block", "edited") for hook in hooks)
        asked.remember(folder.worktree, events, installed=installed)
    return _taken(steps, dry_run)


def uninstall(folder: HooksFolder, dry_run: bool = False) -> list[Step]:
    """Take every hook of ours away and put back what stood there; return what was done."""
    steps = [_removal(foreign.look(folder.path, event)) for event in EVENTS]
    if not dry_run:
        asked.forget(folder.worktree)
    return _taken([step for step in steps if step], dry_run)


def interpreter(folder: HooksFolder) -> str:
    """Return the interpreter to write into the scripts; none where others would read it."""
    return "" if folder.shared or folder.committable else sys.executable


def default_events(folder: HooksFolder) -> list[str]:
    """Return all events, less the checks that the pre-commit framework is configured to run."""
    left_out = framework_events(folder.worktree.toplevel)
    return [event for event in EVENTS if event not in left_out]


def framework_events(toplevel: str) -> list[str]:
    """Return the events whose check stands in the configuration of the pre-commit framework."""
    try:
        with open(os.path.join(toplevel, FRAMEWORK_CONFIG), encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError):
        return []
    return [event for event in CHECK_EVENTS if f"mlflow-dvc-{event}" in text]


def expected(hook: Hook, python: str) -> bytes:
    """Return the text that the hook's file has when it is installed and current."""
    if hook.kind == "block":
        return scripts.with_block(hook.event, python, scripts.without_block(hook.text) or b"")
    return scripts.script(hook.event, python, _runs_kept(hook))


def _runs_kept(hook: Hook) -> bool:
    """Tell whether there is a hook that was moved aside to be called: all but DVC's own."""
    if not os.path.lexists(hook.kept):
        return False
    try:
        with open(hook.kept, "rb") as file:
            return not scripts.is_dvc(file.read(), hook.event)
    except OSError:
        return True  # a broken link today may lead somewhere tomorrow


def _taken(steps: list[Step], dry_run: bool) -> list[Step]:
    for step in steps:
        for work in step.work if not dry_run else ():
            work()
    return steps


def _putting(hook: Hook, python: str) -> Step:
    if hook.kind in ("absent", "ours", "block"):
        return _refresh(hook, python)
    if hook.kind == "sh":
        text = scripts.with_block(hook.event, python, hook.text)
        work = partial(foreign.write, hook.path, text, hook.mode)
        return Step(hook.event, "installed in a block of the hook that is there", (work,))
    if hook.kind == "edited":
        words = f"left alone: our part in {hook.path} was changed by hand; remove that part first"
        return Step(hook.event, words, problem=True)
    if hook.kind == "folder":
        return Step(hook.event, f"left alone: {hook.path} is a folder", problem=True)
    if os.path.lexists(hook.kept):
        words = f"left alone: {hook.path} would have to be moved to {hook.kept}, which is there"
        return Step(hook.event, words, problem=True)
    return _replace(hook, python)


def _refresh(hook: Hook, python: str) -> Step:
    text = expected(hook, python)
    if text == hook.text and (hook.mode & 0o111 or os.name == "nt"):
        return Step(hook.event, "unchanged")
    mode = hook.mode | (hook.mode & 0o444) >> 2
    work = partial(foreign.write, hook.path, text, mode)
    return Step(hook.event, "installed" if hook.kind == "absent" else "updated", (work,))


def _replace(hook: Hook, python: str) -> Step:
    """Move a hook aside for ours: DVC's own is not called, it would do the same once more."""
    name = os.path.basename(hook.kept)
    text = scripts.script(hook.event, python, calls_kept=hook.kind != "dvc")
    if hook.kind == "dvc":
        words = f"installed in place of DVC's own hook, which uninstall puts back (now {name})"
    else:
        words = f"installed; the hook that was there is now {name} and runs first"
    write = partial(foreign.write, hook.path, text, 0o755)
    return Step(hook.event, words, (partial(foreign.move_aside, hook), write))


def _removal(hook: Hook) -> Step | None:
    kept = os.path.lexists(hook.kept)
    if hook.kind in ("ours", "block") or (hook.kind == "absent" and kept):
        text = (
            "removed; the hook from before is back" if kept or hook.kind == "block" else "removed"
        )
        return Step(hook.event, text, (partial(foreign.take_away, hook),))
    if hook.kind == "edited":
        text = f"left alone: our part in {hook.path} was changed by hand; remove it with an editor"
        return Step(hook.event, text, problem=True)
    if kept:
        text = f"left alone: {hook.path} was replaced since; the hook from before is {hook.kept}"
        return Step(hook.event, text, problem=True)
    return None
