"""What is being done, on standard error: for long work, on a terminal only."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """Give a function that is told what is counted, how many are done, and of how many."""
    if not _is_seen():
        yield lambda what, count, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    tasks: dict[str, object] = {}
    last: dict[str, float] = {}
    lock = threading.Lock()
    with Progress(console=Console(stderr=True), transient=True) as bar:

        def show(what: str, count: int, total: int) -> None:
            now = time.monotonic()
            with lock:
                if count != total and now - last.get(what, 0) < _EVERY:
                    return
                last[what] = now
                task = tasks.setdefault(what, None) or bar.add_task(what, total=total)
                tasks[what] = task
                bar.update(task, completed=count, total=total)  # type: ignore[arg-type]

        yield show
