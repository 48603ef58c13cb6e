"""What a sync is about to put in place, written down before it does.

A sync that is killed or interrupted leaves a mixture of two versions, and the ledger is written at
the end only. Without this file the next sync would take what came first for somebody's own files.
One line of JSON for each output that is changed.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator

from mlflow_dvc_plugin.sync.ledger import Entry

_FILE = "coming"


def announce(folder: str, path: str, entry: Entry) -> None:
    """Add an output; raises OSError, and then nothing should be changed."""
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, _FILE), "a", encoding="utf-8") as file:
        file.write(json.dumps([path, entry._asdict()]) + "\n")


def announced(folder: str) -> Iterator[tuple[str, Entry]]:
    """Yield the outputs that a sync before this one has begun with; a torn line is passed over."""
    try:
        with open(os.path.join(folder, _FILE), encoding="utf-8") as file:
            lines = file.readlines()
    except (OSError, ValueError):
        return
    for line in lines:
        with contextlib.suppress(ValueError, TypeError, RecursionError):
            path, entry = json.loads(line)
            yield path, Entry.of(entry, path)


def forget(folder: str) -> None:
    """Remove the file: the ledger has it all."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(folder, _FILE))
