"""What came of getting a run's objects into the cache."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Missing:
    """A piece that cannot be had: its path, its hash, and each place with what was found there."""

    path: str
    hash: str
    tried: tuple[str, ...]


@dataclass
class Gathered:
    """``count`` objects came, or would come; ``size`` in bytes, of those that came.

    ``absent`` were not in the cache; ``inside`` are the members of each directory.
    """

    count: int = 0
    size: int = 0
    missing: list[Missing] = field(default_factory=list)
    absent: set[str] = field(default_factory=set)
    inside: dict[str, set[str]] = field(default_factory=dict)


@contextmanager
def scratch_in(folder: str, dry_run: bool) -> Iterator[str]:
    """Make a folder on the cache's file system; what is left in it is removed."""
    if dry_run:
        yield ""
        return
    os.makedirs(folder, exist_ok=True)
    made = tempfile.mkdtemp(prefix="mlflow-dvc-", dir=folder)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
