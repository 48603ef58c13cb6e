"""Who uses the data right now: DVC's own running commands, and jobs that log to MLflow.

DVC names the paths that a running command reads and writes in ``.dvc/tmp/rwlock``
(``dvc/rwlock.py``), and its own checkout does not look there. Jobs hold a marker
(:mod:`~mlflow_dvc_plugin.capture.marker`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from mlflow_dvc_plugin.capture.marker import holders, parent_of, token_of


class User(NamedTuple):
    """``what`` is for a person; ``paths`` are absolute, None for all data; some only warn."""

    what: str
    blocks: bool = True
    paths: tuple[str, ...] | None = None


def users(dvc_root: str) -> list[User]:
    """Return the live processes that use data of this repository."""
    return [*_jobs(dvc_root), *_commands(dvc_root)]


def _jobs(dvc_root: str) -> Iterator[User]:
    """Yield the jobs with a marker.

    A notebook or a shell does not block, nor does the very job that runs this Git command: it
    asked for the other data.
    """
    own = set(_ancestors())
    for job in holders(dvc_root):
        yield User(job.what, blocks=not job.interactive and job.token not in own)


def _ancestors() -> Iterator[str]:
    pid = os.getpid()
    while pid > 1:
        if token := token_of(pid):
            yield token
        pid = parent_of(pid)


def _commands(dvc_root: str) -> list[User]:
    """Return the commands that DVC's lock file names; none where it cannot be read."""
    try:
        with open(os.path.join(dvc_root, ".dvc", "tmp", "rwlock"), encoding="utf-8") as file:
            data: Any = json.load(file)
        named = list(_named(data))
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return []
    found: dict[tuple[int, str], list[str]] = {}
    for path, pid, command in named:
        found.setdefault((pid, command), []).append(path)
    return [
        User(f"{command} (process {pid})", paths=tuple(paths))
        for (pid, command), paths in found.items()
        if _is_alive(pid)
    ]


def _named(data: dict[str, Any]) -> Iterator[tuple[str, int, str]]:
    for path, uses in data.items():
        writer = uses.get("write")
        for use in [*([writer] if writer else ()), *(uses.get("read") or ())]:
            yield path, int(use["pid"]), str(use["cmd"])


def _is_alive(pid: int) -> bool:
    """Tell whether there is such a process; 0 and below would mean groups of processes."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
