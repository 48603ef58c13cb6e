"""The result: one row for each thing measured, printed as a table that Markdown can show."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass

HEADER = ("what", "median", "quartiles", "best", "CPU", "rounds", "ratio", "limit", "verdict")


@dataclass(frozen=True)
class Limit:
    """At most ``value``, in the row's unit; ``text`` says where it comes from."""

    value: float
    text: str


@dataclass(frozen=True)
class Row:
    """The samples of one thing, all in ``unit``; ``base`` are those the ratio is to.

    ``cpu`` is the processor time of the same rounds, where it was measured.
    """

    what: str
    samples: Sequence[float]
    base: Sequence[float] = ()
    limit: Limit | None = None
    unit: str = "ms"
    cpu: Sequence[float] = ()

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def quartiles(self) -> tuple[float, float]:
        if len(self.samples) < 2:
            return self.samples[0], self.samples[0]
        low, _, high = statistics.quantiles(self.samples, n=4, method="inclusive")
        return low, high

    @property
    def ratio(self) -> float | None:
        return self.median / statistics.median(self.base) if self.base else None

    @property
    def verdict(self) -> str:
        """Judge the median; a limit inside the middle half of the samples is a close call.

        Where only the clock's time is over the limit, something else had the processor.
        """
        if self.limit is None:
            return ""
        low, high = self.quartiles
        close = " (close)" if low <= self.limit.value <= high and low != high else ""
        if self.median <= self.limit.value:
            return "ok" + close
        busy = self.cpu and statistics.median(self.cpu) <= self.limit.value
        return "MISSED" + (" (CPU ok)" if busy else close)

    def cells(self) -> list[str]:
        """Return what stands under HEADER."""
        low, high = self.quartiles
        return [
            self.what,
            f"{_short(self.median)} {self.unit}",
            f"{_short(low)} - {_short(high)}",
            _short(min(self.samples)),
            _short(statistics.median(self.cpu)) if self.cpu else "",
            str(len(self.samples)),
            "" if self.ratio is None else f"{self.ratio:.2f}",
            f"{_short(self.limit.value)} ({self.limit.text})" if self.limit else "",
            self.verdict,
        ]

    def to_json(self) -> dict[str, object]:
        """Return the row as JSON values."""
        return {
            "what": self.what,
            "unit": self.unit,
            "median": self.median,
            "quartiles": self.quartiles,
            "samples": list(self.samples),
            "cpu": list(self.cpu),
            "ratio": self.ratio,
            "limit": asdict(self.limit) if self.limit else None,
            "verdict": self.verdict,
        }


def render(rows: Sequence[Row]) -> str:
    """Return the rows as an aligned Markdown table."""
    lines = [list(HEADER), *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    texts = [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    ]
    return "\n".join(
        [texts[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *texts[1:]]
    )


def _short(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
