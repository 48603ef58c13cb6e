"""The captures of one process: one at a time, within the budget, each shared by many calls."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from mlflow_dvc_plugin.capture.background import Background
from mlflow_dvc_plugin.capture.facts import Facts
from mlflow_dvc_plugin.capture.live import Keep, Progress, capture
from mlflow_dvc_plugin.capture.marker import Markers
from mlflow_dvc_plugin.config import VARIABLES, Settings, quick_budget
from mlflow_dvc_plugin.provenance import Code, Data, Provenance
from mlflow_dvc_plugin.tags import to_tags

_logger = logging.getLogger("mlflow_dvc_plugin")
# Seconds for which one capture answers the calls that are not the start of a run.
_BURST = 1.0
# Seconds in which a capture whose time is up finishes what it does.
_GRACE = 0.5


class Process:
    """The captures of one process: one at a time, each shared by the calls it can answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._facts: Facts | None = None
        self._markers = Markers()
        self._warned: set[str] = set()
        self._budget: float | None = None  # seconds, once a capture has read the settings
        self._left: Background[Any] | None = None
        self._begun = -math.inf
        self._place: object = None
        self._last: tuple[dict[str, str], Provenance] = ({}, Provenance())

    def answer(self, starting: bool) -> tuple[dict[str, str], Provenance]:
        """Return the tags now, within the budget.

        A run's start is answered by a capture that began after it was asked for; the calls around
        it (models, datasets, autolog's children) by one that began within the last second. The
        time spent waiting for another thread's capture is taken from the budget of the own one,
        which then finds most of what it needs done.
        """
        asked = time.monotonic()
        budget = self._budget or quick_budget()
        if not self._lock.acquire(timeout=budget):
            provenance = _unknown(Progress())
            return to_tags(provenance, 0), provenance
        try:
            begun = time.monotonic()
            place = _place()
            # Not `<`: within one tick of the clock nobody can tell which came first.
            stale = self._begun <= asked if starting else self._begun < asked - _BURST
            if stale or self._place != place:
                self._last = self._capture(budget, begun - asked, starting)
                self._begun, self._place = begun, place
            return dict(self._last[0]), self._last[1]
        finally:
            self._lock.release()

    def _capture(
        self, budget: float, waited: float, starting: bool
    ) -> tuple[dict[str, str], Provenance]:
        progress = Progress()
        facts = self._facts = self._facts or Facts()
        provenance, settings = self._in_time(
            budget, progress, lambda: self._look(facts, waited, progress, starting)
        )
        if provenance is None:
            provenance = _unknown(progress)
        return to_tags(provenance, settings.output_tags if settings else 0), provenance

    def _in_time(
        self, budget: float, progress: Progress, look: Callable[[], tuple[Provenance, Settings]]
    ) -> tuple[Provenance | None, Settings | None]:
        """Capture in a thread of its own, and leave it behind when it does not come back."""
        if self._left is not None and not self._left.done(0):
            return None, None
        asked = Background(look)
        done = asked.done(budget + _GRACE)
        if not done and progress.budget is not None and progress.budget > budget:
            done = asked.done(progress.budget - budget)
        self._budget = progress.budget
        if not done:
            self._left = asked
            self._facts = None  # the thread left behind may still change them
            return None, None
        return asked.result()

    def _look(
        self, facts: Facts, waited: float, progress: Progress, starting: bool
    ) -> tuple[Provenance, Settings]:
        keep: Keep = "new" if starting else "known"
        found = capture(facts, waited=waited, progress=progress, keep=keep)
        if found[0].data is not None:
            self._markers.hold(found[0].data.root)
        return found

    def say(self, reason: str, text: str) -> None:
        """Warn once for each reason; from then on at the level DEBUG."""
        level = logging.DEBUG if reason in self._warned else logging.WARNING
        self._warned.add(reason)
        _logger.log(level, "mlflow-dvc: %s", _printable(text))


def _place() -> object:
    """Return what decides which code and data is meant: another place is another answer."""
    names = ("DVC_STAGE", "DVC_EXP_NAME", *VARIABLES.values(), "MLFLOW_DVC_REPO")
    try:
        folder = os.getcwd()
    except OSError:
        folder = ""
    return folder, *(os.environ.get(name) for name in names)


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
    text = "Git or the file system did not answer in time"
    hint = f"the state of code and data is unknown: {text}; run: mlflow-dvc status --hash"
    return Provenance(
        code=progress.code or Code(""),
        data=progress.data or Data("", "", unread={"capture": text}),
        warnings=(*progress.warnings, ("hanging", hint)),
    )
