"""What is being done, on standard error: for long work, on a terminal only."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

T = TypeVar("T")

COMPARING = "comparing the data with its hashes"
_EVERY = 0.1  # seconds


def _is_seen() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def spinner(what: str) -> Iterator[None]:
    """Show what takes its time while nobody can tell how long."""
    if not _is_seen():
        yield
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn(what), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        bar.add_task("", total=None)
        yield


class Bars:
    """Draws how far each kind of work is, from the first time it is told until it pauses."""

    def __init__(self, seen: bool) -> None:
        self._seen = seen
        self._lock = threading.Lock()
        self._drawn: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._last: dict[str, float] = {}
        self._running = False

    def __call__(self, what: str, count: int, total: int) -> None:
        """Take what is counted, how many are done, and of how many: 0 where nobody can tell."""
        if not self._seen:
            return
        now = time.monotonic()
        with self._lock:
            soon = now - self._last.get(what, 0) < _EVERY
            if soon and self._running and count != total:
                return
            self._last[what] = now
            self._draw(what, count, total)

    def _draw(self, what: str, count: int, total: int) -> None:
        if self._drawn is None:
            from rich.console import Console
            from rich.progress import Progress

            self._drawn = Progress(console=Console(stderr=True), transient=True)
        if not self._running:
            self._drawn.start()
            self._running = True
        if what not in self._tasks:
            self._tasks[what] = self._drawn.add_task(what, total=None)
        text = what if total or not count else f"{what}: {count}"
        self._drawn.update(
            self._tasks[what], description=text, completed=count, total=total or None
        )  # fmt: skip

    def pause(self) -> None:
        """Leave the terminal as it was, until there is something to tell again."""
        with self._lock:
            if self._drawn is not None and self._running:
                self._drawn.stop()
                self._running = False

    def between(self, items: Iterator[T]) -> Iterator[T]:
        """Yield the items, which somebody is going to print, while nothing is drawn."""
        for item in items:
            self.pause()
            yield item
        self.pause()


@contextmanager
def progress(*, wanted: bool = True) -> Iterator[Bars]:
    """Give a function that is told what is counted, how many are done, and of how many."""
    bars = Bars(wanted and _is_seen())
    try:
        yield bars
    finally:
        bars.pause()
