"""A run as its tags describe it: the tag contract, read back. No I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mlflow_dvc_plugin.tags import COMMIT

_COMMIT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
_CHUNK = re.compile(r"dvc\.manifest\.(\d+)\Z")
MORE = "... and "  # begins the last entry of a list that was too long for its tag
DATA_REV = "dvc.rev"
TREE, SNAPSHOT, INCOMPLETE = "git.tree", "git.snapshot", "git.snapshot.incomplete"


@dataclass(frozen=True)
class Record:
    """One run; ``start`` and ``end`` in ms since 1970, None where MLflow has none.

    Whatever a tag holds is somebody's text: ids and paths are checked before they are used.
    """

    run_id: str
    name: str
    experiment_id: str
    status: str
    start: int | None
    end: int | None
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]

    @property
    def commit(self) -> str | None:
        """The commit it was started from."""
        return self._id(COMMIT)

    @property
    def snapshot(self) -> str | None:
        """The commit that keeps its dirty tree."""
        return self._id(SNAPSHOT)

    @property
    def tree(self) -> str | None:
        """The tree id of its working tree."""
        return self._id(TREE)

    @property
    def code(self) -> str | None:
        """The commit that holds its code: the snapshot of a dirty run, else the commit."""
        return self.snapshot or self.commit

    @property
    def dirty(self) -> bool | None:
        """Whether its tree differed from the commit; None when that is not known."""
        return {"true": True, "false": False}.get(self.tags.get("git.dirty", ""))

    @property
    def data_rev(self) -> str | None:
        """The commit of the data's repository, when that is not the code's."""
        return self._id(DATA_REV)

    @property
    def states(self) -> str | None:
        """The commit whose DVC metadata states where the data is kept."""
        return self.data_rev or self.code

    @property
    def incomplete(self) -> tuple[str, ...]:
        """What of its code is not in the snapshot, or why there is none."""
        return self.listed(INCOMPLETE)

    @cached_property
    def manifest(self) -> Mapping[str, str] | None:
        """Path -> hash of the input data; None when the tags hold none, or only its count."""
        chunks = sorted(
            (int(match[1]), value)
            for match, value in ((_CHUNK.match(key), value) for key, value in self.tags.items())
            if match
        )
        texts = [value for _, value in chunks]
        if [number for number, _ in chunks] != list(range(1, len(chunks) + 1)):
            return None  # a part of it was deleted
        if "dvc.manifest" in self.tags:
            texts = [self.tags["dvc.manifest"]]
        parts = [_hashes(text) for text in texts]
        if not parts or any(part is None for part in parts):
            return None
        return {path: value for part in parts if part for path, value in part.items()}

    @cached_property
    def products(self) -> Mapping[str, str]:
        """Path -> hash of the tracked outputs that stood there and were no input."""
        return _hashes(self.tags.get("dvc.products", "")) or {}

    def listed(self, key: str) -> tuple[str, ...]:
        """Return what the tag lists as JSON; text that is no list stands for itself, as it is."""
        text = self.tags.get(key, "")
        try:
            found: Any = json.loads(text or "[]")
        except (ValueError, RecursionError):
            return (text,)
        return tuple(map(str, found)) if isinstance(found, list) else (text,)

    def named(self, key: str) -> set[str]:
        """Return the paths that the tag lists, less the word that there are more."""
        return {path for path in self.listed(key) if not path.startswith(MORE)}

    def _id(self, key: str) -> str | None:
        value = self.tags.get(key, "")
        return value if _COMMIT.match(value) else None


def record(run: Any) -> Record:
    """Return what an MLflow ``Run`` states."""
    info, data = run.info, run.data
    return Record(
        run_id=info.run_id, name=info.run_name or "", experiment_id=info.experiment_id,
        status=info.status, start=info.start_time, end=info.end_time,
        params=data.params, metrics=data.metrics, tags=data.tags,
    )  # fmt: skip


def _hashes(text: str) -> Mapping[str, str] | None:
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    return found if all(isinstance(value, str) for value in found.values()) else None
