"""Put the runs that were found in order: by start, name, a metric or a parameter."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.lineage.hits import Hit

_LOWEST, _HIGHEST = ("min", "asc"), ("max", "desc")


@dataclass(frozen=True)
class Rank:
    """``name`` is ``start``, ``end``, ``name``, or that of a metric, else of a parameter."""

    name: str
    highest_first: bool = False


def rank(text: str) -> Rank:
    """Return what ``NAME``, ``NAME:min`` or ``NAME:max`` (``:asc``, ``:desc``) means."""
    name, colon, end = text.rpartition(":")
    if colon and name and end in (*_LOWEST, *_HIGHEST):
        return Rank(name, end in _HIGHEST)
    return Rank(text)


def best(text: str) -> Rank:
    """Return what ``METRIC:min`` or ``METRIC:max`` means: which is better, nobody else can tell."""
    found = rank(text)
    if found.name == text:
        raise MlflowDvcError(f"is the lowest or the highest {text} the best?", f"--best {text}:min")
    return found


def ranked(hits: Iterable[Hit], by: Rank, limit: int | None = None) -> Iterator[Hit]:
    """Yield the hits in this order, those without the value (or with NaN) last.

    With a limit no more than that many are kept in memory.
    """

    def key(pair: tuple[int, Hit]) -> tuple[Any, ...]:
        # The number keeps equal ones in the order they came in.
        return (*_key(pair[1], by), pair[0])

    pairs = enumerate(hits)
    chosen = sorted(pairs, key=key) if limit is None else heapq.nsmallest(limit, pairs, key=key)
    return (hit for _, hit in chosen)


def top(hits: Iterable[Hit], by: Rank) -> Iterator[Hit]:
    """Yield the one hit with the best metric; none when no run has that metric."""
    having = (hit for hit in hits if not math.isnan(hit.run.metrics.get(by.name, math.nan)))
    return itertools.islice(ranked(having, by, 1), 1)


def _key(hit: Hit, by: Rank) -> tuple[Any, ...]:
    value = _value(hit, by.name)
    if value is None:
        return (2,)
    if isinstance(value, str):
        return (1, _Reversed(value) if by.highest_first else value)
    return (0, -value if by.highest_first else value)


class _Reversed(str):
    """A text that stands behind those that it would stand before."""

    __slots__ = ()

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)


def _value(hit: Hit, name: str) -> float | str | None:
    run = hit.run
    known: dict[str, Callable[[], float | str | None]] = {
        "start": lambda: run.start, "end": lambda: run.end, "name": lambda: run.name,
    }  # fmt: skip
    value = known[name]() if name in known else run.metrics.get(name, run.params.get(name))
    if isinstance(value, str) and name != "name":
        try:
            value = float(value)
        except ValueError:
            return value
    return None if isinstance(value, float) and math.isnan(value) else value
