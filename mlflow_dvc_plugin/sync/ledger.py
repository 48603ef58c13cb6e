"""What the last sync of a worktree made so: the outputs, and what could not be done.

One JSON file in the worktree's state folder, replaced atomically. Losing it costs time: the next
sync then looks at every output.
"""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

from mlflow_dvc_plugin.scratch import replacing
from mlflow_dvc_plugin.sync import early

_FILE = "synced"
_VERSION = 2


class Entry(NamedTuple):
    """An output as it was made: its hash and scheme, and the metadata file that stated it.

    ``seen`` is the identity of that file when it was read: what wrote it may have written the data.
    """

    hash: str
    scheme: str
    isdir: bool
    source: str
    cache: str
    root: str
    seen: str

    @classmethod
    def of(cls, data: dict[str, Any], path: str) -> Entry:
        """Return what was kept for the path; raises TypeError, ValueError when it is damaged."""
        entry = cls(**data)
        texts = (entry.hash, entry.scheme, entry.source, entry.cache, entry.root, entry.seen)
        if not all(isinstance(text, str) for text in (path, *texts)):
            raise TypeError("no text")
        if not entry.hash or any(map(_leads_out, (path, entry.root))):
            raise ValueError("no such output")
        return entry


class Problem(NamedTuple):
    """What is not in sync: the path, why, and the commands that mend it."""

    path: str
    text: str
    hint: str

    @classmethod
    def of(cls, data: dict[str, Any]) -> Problem:
        """Return what was kept; raises TypeError when it is damaged."""
        problem = cls(**data)
        if not all(isinstance(text, str) for text in (problem.path, problem.text, problem.hint)):
            raise TypeError("no text")
        return problem


class Ledger:
    """``outputs`` and ``problems`` by path; ``verified`` is for :class:`objects.Cache`.

    ``coming``: what syncs that did not get to the end have begun to put in place.
    """

    def __init__(self) -> None:
        self.outputs: dict[str, Entry] = {}
        self.problems: dict[str, Problem] = {}
        self.verified: dict[str, str] = {}
        self.coming: dict[str, list[Entry]] = {}

    @classmethod
    def read(cls, folder: str) -> Ledger:
        """Return what is kept in the worktree's state folder."""
        ledger = cls()
        try:
            with open(os.path.join(folder, _FILE), encoding="utf-8") as file:
                data: Any = json.load(file)
            if data["version"] == _VERSION:
                ledger._take(data)
            return ledger
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return cls()

    def _take(self, data: dict[str, Any]) -> None:
        self.outputs = {path: Entry.of(entry, path) for path, entry in data["outputs"].items()}
        self.problems = {path: Problem.of(entry) for path, entry in data["problems"].items()}
        self.verified = dict(data["verified"])
        self.coming = {
            path: [Entry.of(one, path) for one in entries]
            for path, entries in data.get("coming", {}).items()
        }

    def expect(self, path: str, entry: Entry) -> None:
        """Take over what a sync has begun with."""
        entries = self.coming.setdefault(path, [])
        if entry not in entries:
            entries.append(entry)
        self.outputs.setdefault(path, entry)

    def drop(self, path: str) -> None:
        """Forget an output."""
        self.outputs.pop(path, None)
        self.coming.pop(path, None)

    def versions(self, path: str) -> list[Entry]:
        """Return the versions that files at the path may be part of."""
        known = self.outputs.get(path)
        return [*([known] if known else ()), *self.coming.get(path, ())]

    def save(self, folder: str) -> None:
        """Replace the file; raises OSError."""
        data = {
            "version": _VERSION,
            "outputs": {path: entry._asdict() for path, entry in self.outputs.items()},
            "problems": {path: entry._asdict() for path, entry in self.problems.items()},
            "verified": self.verified,
            "coming": {path: [one._asdict() for one in entries]
                       for path, entries in self.coming.items()},
        }  # fmt: skip
        os.makedirs(folder, exist_ok=True)
        early.keep(folder, self.outputs)  # first: a look that began before this counts no more
        with replacing(os.path.join(folder, _FILE)) as file:
            file.write(json.dumps(data, separators=(",", ":")).encode())  # faster than json.dump


def _leads_out(path: str) -> bool:
    return os.path.isabs(path) or ".." in path.split("/")
