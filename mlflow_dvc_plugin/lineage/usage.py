"""The runs whose tags state some data: a path, a hash, or both, asked with MLflow's filters.

The manifest is compact JSON, so that ``"data/train.csv":"53d0`` is an exact piece of its text. A
piece finds too much at most (``_`` stands for any character); each hit is checked afterwards.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from mlflow_dvc_plugin.lineage.hits import Answer, Scope
from mlflow_dvc_plugin.lineage.needs import needs_of
from mlflow_dvc_plugin.lineage.record import MORE, Record
from mlflow_dvc_plugin.lineage.revision import Revisions

_UNSAFE = re.compile(r'[^A-Za-z0-9/.:" -]')
_STATE = re.compile(r"[0-9a-f]{32}\Z")
_EXCLUDED = 12  # each further "is not" costs the store a join over all runs
_STATES = 300
_WITH_DIRECTORIES = "tags.`dvc.manifest` LIKE '%.dir\"%'"


class Usage:
    """Runs by their data; a manifest that its tags only count is rebuilt from the commit."""

    def __init__(self, scope: Scope, toplevel: str | None, answer: Answer) -> None:
        self.scope = scope
        self.revisions = Revisions(toplevel) if toplevel else None
        self._answer = answer

    def of_path(self, path: str, prefix: str = "") -> Iterator[Record]:
        """Yield the runs whose manifest has this path, with a hash that begins with ``prefix``."""
        named = json.dumps(path)
        for run in self._holding(f'{named}:"{prefix}'):
            value = self.hashes(run).get(path)
            if value is not None and value.startswith(prefix):
                yield run

    def of_hash(self, prefix: str) -> Iterator[Record]:
        """Yield the runs whose manifest has a hash that begins with ``prefix``."""
        for run in self._holding(f':"{prefix}'):
            if any(value.startswith(prefix) for value in self.hashes(run).values()):
                yield run

    def data_states(self) -> Iterator[Record]:
        """Yield runs with directories among their data: of each state of the data at least one.

        Many runs share a state, and a query for each costs less than loading them all; where there
        are too many states for that, all of the runs come, page by page.
        """
        for number, run in enumerate(self._states("", []), 1):
            yield run
            if number == _STATES:
                yield from self.scope.runs(_WITH_DIRECTORIES)
                break
        yield from self._in_chunks('.dir"')
        yield from self._counted()

    def _states(self, prefix: str, known: list[str]) -> Iterator[Record]:
        """Yield a run of each state whose ``dvc.hash`` begins so, but for those that are known."""
        known = [state for state in known if state.startswith(prefix)]
        while len(known) < _EXCLUDED:
            unlike = [f"tags.`dvc.hash` != '{state}'" for state in known]
            like = f"tags.`dvc.hash` LIKE '{prefix}%'"
            query = " AND ".join([_WITH_DIRECTORIES, like, *unlike])
            run = next(self.scope.runs(query, limit=1), None)
            if run is None:
                return
            yield run
            known.append(run.tags["dvc.hash"])
            if not _STATE.match(known[-1]):
                yield from self.scope.runs(_WITH_DIRECTORIES)  # somebody's own text: no shortcut
                return
        for digit in "0123456789abcdef":
            yield from self._states(prefix + digit, known)

    def of_state(self, run: Record) -> Iterator[Record]:
        """Yield the runs with the same data as this one, itself at least."""
        state = run.tags.get("dvc.hash", "")
        if not _STATE.match(state):
            yield run
            return
        yield from self.scope.runs(f"tags.`dvc.hash` = '{state}'")

    def not_known(self, path: str | None = None) -> Iterator[Record]:
        """Yield the runs that used the path, or any data at all, in a version that nobody knows."""
        piece = "" if path is None else _piece(json.dumps(path))
        for run in self.scope.runs(f"tags.`dvc.changed` LIKE '%{piece}%'"):
            changed = unhashed(run)
            if path in changed if path is not None else changed:
                yield run

    def not_listed(self) -> Iterator[Record]:
        """Yield the runs whose tags name only the first of their data without a hash."""
        for run in self.scope.runs(f"tags.`dvc.changed` LIKE '%{MORE}%'"):
            if any(one.startswith(MORE) for one in run.listed("dvc.changed")):
                yield run

    def hashes(self, run: Record) -> dict[str, str]:
        """Return path -> hash of the run's data; what is not known goes to the answer's gaps."""
        if run.manifest is not None:
            return dict(run.manifest)
        if "dvc.manifest.count" not in run.tags:
            return {}
        text = "its tags only count its data"
        if self.revisions is not None:
            found = needs_of(run, self.revisions)
            text = found.unknown.get("dvc.manifest", "")
            if not text:
                return {need.path: need.hash for need in found.needs}
        self._answer.gaps[f"run {run.run_id}"] = text
        return {}

    def _holding(self, piece: str) -> Iterator[Record]:
        yield from self.scope.runs(f"tags.`dvc.manifest` LIKE '%{_piece(piece)}%'")
        yield from self._in_chunks(piece)
        yield from self._counted()

    def _in_chunks(self, piece: str) -> Iterator[Record]:
        number = 1
        while any(self.scope.runs(f"tags.`dvc.manifest.{number}` LIKE '%'", limit=1)):
            yield from self.scope.runs(f"tags.`dvc.manifest.{number}` LIKE '%{_piece(piece)}%'")
            number += 1

    def _counted(self) -> Iterator[Record]:
        return self.scope.runs("tags.`dvc.manifest.count` LIKE '%'")


def unhashed(run: Record) -> set[str]:
    """Return the inputs of which the run's tags give no hash."""
    return set(run.listed("dvc.changed")).difference(run.manifest or ())


def _piece(text: str) -> str:
    return _UNSAFE.sub("_", text)
