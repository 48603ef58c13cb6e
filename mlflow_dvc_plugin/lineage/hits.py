"""What a search for runs answers, as values."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlflow_dvc_plugin.lineage.record import Record
from mlflow_dvc_plugin.lineage.store import search
from mlflow_dvc_plugin.storage import Progress, quiet

EXACT, DIFFERS, UNKNOWN = "exact", "differs", "unknown"


@dataclass(frozen=True)
class Hit:
    """One run that was found, and why.

    ``how`` is ``started`` (from the commit), ``before`` (its dirty tree is what the commit holds),
    ``same tree``, ``data commit`` (its data came from the commit of another repository), ``data``,
    ``member`` or ``experiment``. ``match`` is ``exact``, ``differs`` or ``unknown``, and
    ``differs`` says in which way. ``commit`` is the one that was asked about;
    ``path`` and ``version`` are the data and the hash that the run used.
    """

    run: Record
    how: str
    match: str = EXACT
    differs: tuple[str, ...] = ()
    commit: str | None = None
    path: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class Version:
    """One version of a data set: the first commit that states it, None when no commit here does.

    ``when`` is that commit's date in seconds since 1970.
    """

    path: str
    hash: str
    commit: str | None = None
    when: int | None = None


@dataclass
class Answer:
    """``hits`` come as the store gives them; everything else is known when they are at their end.

    ``gaps`` maps what could not be told to the reason: the answer is incomplete while there are
    any. ``now`` is the hash on disk of the path that was asked about.
    """

    kind: str
    hits: Iterator[Hit] = field(default_factory=lambda: iter(()))
    notes: list[str] = field(default_factory=list)
    gaps: dict[str, str] = field(default_factory=dict)
    versions: list[Version] = field(default_factory=list)
    now: str | None = None

    @property
    def complete(self) -> bool:
        """Whether there is nothing that could not be told."""
        return not self.gaps


@dataclass(frozen=True)
class Scope:
    """Where to search: ``experiments`` are ids, ``order`` is MLflow's."""

    client: Any
    experiments: Sequence[str]
    order: Sequence[str] = ()
    progress: Progress = quiet
    _asked: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    def runs(
        self, query: str, *, limit: int | None = None, deleted: bool = False
    ) -> Iterator[Record]:
        """Yield the runs that MLflow's filter finds."""
        return search(
            self.client, self.experiments, query, order=self.order, limit=limit, deleted=deleted,
            asking=lambda: self.progress("searching runs, page", next(self._asked), 0),
        )  # fmt: skip


def each_once(hits: Iterable[Hit]) -> Iterator[Hit]:
    """Yield a run once for each commit asked about, however many ways lead to it."""
    seen: set[tuple[str, str | None]] = set()
    for hit in hits:
        key = (hit.run.run_id, hit.commit)
        if key not in seen:
            seen.add(key)
            yield hit


def tags_are(tags: Mapping[str, str]) -> str:
    """Return MLflow's filter for runs with exactly these values; none of them holds a quote."""
    return " AND ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
