"""MLflow's entry point: every new run carries its Git commit and its DVC data hashes.

MLflow loads and instantiates the class while it is itself half imported, also in its server and in
every command: only the standard library and the abstract class may be imported, and nothing may be
done. ``tags()`` is called by ``start_run``, by ``log_model``, for datasets and by autolog,
from several threads at once, and an exception or a slow answer would cost somebody a training run.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

    from mlflow_dvc_plugin.capture.background import Background
    from mlflow_dvc_plugin.capture.live import Facts, Progress
    from mlflow_dvc_plugin.config import Settings
    from mlflow_dvc_plugin.provenance import Provenance

_logger = logging.getLogger("mlflow_dvc_plugin")
# Seconds for which one capture answers the calls that are not the start of a run.
_BURST = 1.0
# Seconds in which a capture whose time is up finishes what it does.
_GRACE = 0.5
_GIT_KEYS = {
    "mlflow.source.git.commit": "unknown",
    "mlflow.source.git.branch": "HEAD",  # what `git rev-parse --abbrev-ref` says when detached
    "mlflow.source.git.repoURL": "unknown",
}


class _Provider:
    """Tag runs with the state of the code and the data they start from."""

    def __init__(self) -> None:
        self._processes: dict[int, _Process] = {}

    def in_context(self) -> bool:
        """Tell whether the plugin is switched on."""
        return os.environ.get("MLFLOW_DVC_DISABLE", "").strip().lower() in ("", "0", "false", "no")

    def tags(self) -> dict[str, str]:
        """Return the tags of the contract; never raises, whatever the repository looks like.

        Only ``MLFLOW_DVC_STRICT=1`` makes it stop a run, at its start, with a BaseException that
        MLflow lets through.
        """
        # A lock or a thread of the parent process means nothing after a fork.
        process = self._processes.setdefault(os.getpid(), _Process())
        starting, by_user = _called_by_start_run()
        try:
            tags, provenance = process.answer(starting)
        except Exception:  # noqa: BLE001 - the provider's boundary: a run must start
            process.warn(
                "internal", "no tags are set because of a fault in mlflow-dvc-plugin", True
            )
            return {}
        if by_user and provenance is not None:
            _refuse_if_strict(provenance)
        return tags


class _Process:
    """The captures of one process: one at a time, each shared by the calls it can answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._facts: Facts | None = None
        self._warned: set[str] = set()
        self._budget: float | None = None  # seconds, once a capture has read the settings
        self._left: Background[Any] | None = None
        self._begun = -1.0
        self._last: tuple[dict[str, str], Provenance | None] = ({}, None)

    def answer(self, starting: bool) -> tuple[dict[str, str], Provenance | None]:
        """Return the tags now, within the budget.

        A run's start is answered by a capture that began after it was asked for; the calls around
        it (models, datasets, autolog's children) by one that began within the last second. The
        time spent waiting for another thread's capture is taken from the budget of the own one,
        which then finds most of what it needs done.
        """
        from mlflow_dvc_plugin.capture.live import Progress
        from mlflow_dvc_plugin.config import quick_budget

        asked = time.monotonic()
        budget = self._budget or quick_budget()
        if not self._lock.acquire(timeout=budget):
            provenance = _unknown(Progress())
            return self._tags(provenance, 0), provenance
        try:
            begun = time.monotonic()
            if self._begun < (asked if starting else asked - _BURST):
                self._last = self._capture(budget, begun - asked)
                self._begun = begun
            return dict(self._last[0]), self._last[1]
        finally:
            self._lock.release()

    def _capture(self, budget: float, waited: float) -> tuple[dict[str, str], Provenance | None]:
        from mlflow_dvc_plugin.capture.live import Progress

        progress = Progress()
        provenance, settings = self._in_time(budget, waited, progress)
        if provenance is None:
            provenance = _unknown(progress)
        for reason, text in provenance.warnings:
            self.warn(reason, text)
        return self._tags(provenance, settings.output_tags if settings else 0), provenance

    @staticmethod
    def _tags(provenance: Provenance, output_tags: int) -> dict[str, str]:
        from mlflow_dvc_plugin.tags import to_tags

        return _beside_mlflow(to_tags(provenance, output_tags))

    def _in_time(
        self, budget: float, waited: float, progress: Progress
    ) -> tuple[Provenance | None, Settings | None]:
        """Capture in a thread of its own, and leave it behind when it does not come back."""
        from mlflow_dvc_plugin.capture.background import Background
        from mlflow_dvc_plugin.capture.live import Facts, capture

        if self._left is not None and not self._left.done(0):
            return None, None
        facts = self._facts = self._facts or Facts()
        asked = Background(lambda: capture(facts, waited=waited, progress=progress))
        done = asked.done(budget + _GRACE)
        if not done and progress.budget is not None and progress.budget > budget:
            done = asked.done(progress.budget - budget)
        self._budget = progress.budget
        if not done:
            self._left = asked
            self._facts = None  # the thread left behind may still change them
            return None, None
        return asked.result()

    def warn(self, reason: str, text: str, traceback: bool = False) -> None:
        """Warn once for each reason; from then on at the level DEBUG."""
        level = logging.DEBUG if reason in self._warned else logging.WARNING
        self._warned.add(reason)
        _logger.log(level, "mlflow-dvc: %s", _printable(text), exc_info=traceback)


def _printable(text: str) -> str:
    """Return the text with undecodable and control characters escaped.

    A file's name may hold both, a strict log file takes neither, and a terminal obeys the latter.
    """
    text = text.encode("utf-8", "backslashreplace").decode()
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


def _unknown(progress: Progress) -> Provenance:
    """Return what is known when a capture did not come back: the rest is unknown.

    A system call that never returns (a dead network mount) is the one thing that the capture's own
    deadline cannot end.
    """
    from mlflow_dvc_plugin.provenance import Code, Data, Provenance

    text = "Git or the file system did not answer in time"
    hint = f"the state of code and data is unknown: {text}; run: mlflow-dvc status --hash"
    return Provenance(
        code=progress.code or Code(""),
        data=progress.data or Data("", "", unread={"capture": text}),
        warnings=(*progress.warnings, ("hanging", hint)),
    )


def _called_by_start_run() -> tuple[bool, bool]:
    """Tell whether a run is being started, and whether a person's own code does it.

    ``log_model``, metrics without a run and autolog start runs too, from inside MLflow, and ask
    for context tags at the end of a training as well: those are never stopped.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if (
            frame.f_code.co_name == "start_run"
            and frame.f_globals.get("__name__") == "mlflow.tracking.fluent"
        ):
            caller = frame.f_back
            name = caller.f_globals.get("__name__", "") if caller else ""
            return True, not (name == "mlflow" or name.startswith("mlflow."))
        frame = frame.f_back
    return False, False


def _refuse_if_strict(provenance: Provenance) -> None:
    from mlflow_dvc_plugin.config import flag
    from mlflow_dvc_plugin.errors import NotReproducible
    from mlflow_dvc_plugin.verdict import obstacles

    if flag("MLFLOW_DVC_STRICT"):
        found = obstacles(provenance)
        if found:
            raise NotReproducible(found)


def _beside_mlflow(tags: dict[str, str]) -> dict[str, str]:
    """Fit the tags to what MLflow's own providers say of the same run.

    A plugin overrides MLFLOW_RUN_CONTEXT, so the keys a person named there are left alone. And
    MLflow's Git provider answers from a cache it filled at the first run of the process: a key of
    its that is not so any more (a branch, when HEAD is detached now) has to be overwritten, for it
    cannot be removed.
    """
    if tags:
        from mlflow.tracking.context.git_context import GitRunContext
        from mlflow.tracking.context.registry import _run_context_provider_registry as registry

        for provider in registry:
            if isinstance(provider, GitRunContext) and provider.in_context():
                for key in provider.tags():
                    tags.setdefault(key, _GIT_KEYS.get(key, "unknown"))
    try:
        named = json.loads(os.environ.get("MLFLOW_RUN_CONTEXT") or "{}")
    except ValueError:
        named = {}
    if not isinstance(named, dict):
        return tags
    return {key: value for key, value in tags.items() if key not in named}


def __getattr__(name: str) -> type:
    """Make the class when it is asked for.

    Whoever imports this module before MLflow imports MLflow by asking for the base class, which
    asks for the class in turn: a class statement could not answer that.
    """
    if name != "DvcRunContext":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mlflow.tracking.context.abstract_context import RunContextProvider

    if "DvcRunContext" not in globals():
        body = {"__doc__": _Provider.__doc__, "__module__": __name__}
        globals()[name] = type(name, (_Provider, RunContextProvider), body)
    made: type = globals()[name]
    return made


if TYPE_CHECKING:

    class DvcRunContext(_Provider):
        """The class that MLflow is given."""
