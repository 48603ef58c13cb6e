"""Timing by turns: on a shared machine only variants measured in the same moments compare."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field


@dataclass
class Times:
    """Milliseconds of every round: by the clock, and of processor time with child processes.

    The second does not depend on what else the machine does.
    """

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


# Does one round and returns its milliseconds: (clock, processor).
Variant = Callable[[], tuple[float, float]]
Samples = dict[str, Times]


def timed(
    call: Callable[[], object],
    before: Callable[[], object] | None = None,
    after: Callable[[], object] | None = None,
) -> Variant:
    """Return a variant that times ``call`` alone."""

    def round_of() -> tuple[float, float]:
        if before:
            before()
        cpu = _processor()
        begin = time.perf_counter()
        call()
        wall = time.perf_counter() - begin
        cpu = _processor() - cpu
        if after:
            after()
        return wall * 1e3, cpu * 1e3

    return round_of


def interleave(variants: Mapping[str, Variant], rounds: int, warm_up: int = 3) -> Samples:
    """Run the variants in turn, A B C A B C ..., and return the times of every round."""
    for variant in variants.values():
        for _ in range(warm_up):
            variant()
    samples: Samples = {name: Times() for name in variants}
    for _ in range(rounds):
        for name, variant in variants.items():
            wall, cpu = variant()
            samples[name].wall.append(wall)
            samples[name].cpu.append(cpu)
    return samples


def to_json(samples: Samples) -> dict[str, object]:
    """Return the samples as JSON values."""
    return {name: asdict(times) for name, times in samples.items()}


def from_json(values: Mapping[str, Mapping[str, Sequence[float]]]) -> Samples:
    """Return the samples that ``to_json`` wrote."""
    return {name: Times(list(each["wall"]), list(each["cpu"])) for name, each in values.items()}


def _processor() -> float:
    """Return the seconds of processor time of this process and of its ended children."""
    try:
        import resource
    except ImportError:  # Windows
        times = os.times()
        return sum(times[:4])
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)
