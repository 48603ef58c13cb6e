"""Cases about the start of a run in repositories of different sizes."""

from __future__ import annotations

import statistics

from benchmarks.bench import Bench
from benchmarks.processes import probe
from benchmarks.table import Limit, Row
from benchmarks.timing import Samples, Times

_TAGS = "tags() at a run's start"
_GIT = "git status --porcelain=v2"


def tags(bench: Bench) -> list[Row]:
    """Measure the usual project: 10 outputs, everything clean."""
    folder = bench.repository("small")
    samples = probe(folder, "warm", bench.rounds(300))
    twice = 2 * _median(samples[_GIT])
    limit = Limit(5, "5 ms") if twice < 5 else Limit(twice, "2 x git status")
    return _rows(bench, folder, samples, limit, dvc=5)


def stages(bench: Bench) -> list[Row]:
    """Measure 1,000 `.dvc` files, nothing changed."""
    folder = bench.repository("stages")
    samples = probe(folder, "warm", bench.rounds(80))
    return _rows(bench, folder, samples, Limit(25, "25 ms"), dvc=3)


def folder(bench: Bench) -> list[Row]:
    """Measure one directory of 20,000 files, nothing changed."""
    path = bench.repository("folder")
    samples = probe(path, "warm", bench.rounds(60))
    return _rows(bench, path, samples, Limit(60, "60 ms"), dvc=3)


def git(bench: Bench) -> list[Row]:
    """Measure 10 outputs in a Git repository of 100,000 files."""
    path = bench.repository("git")
    samples = probe(path, "warm", bench.rounds(40))
    limit = Limit(1.5 * _median(samples[_GIT]), "1.5 x git status")
    return _rows(bench, path, samples, limit, dvc=0 if bench.quick else 1)


def snapshot(bench: Bench) -> list[Row]:
    """Measure the start of a run that keeps a dirty tree, in a small and in a large repository."""
    rows = []
    for name, what in (("small", "10 outputs"), ("git", "100,000 files")):
        samples = probe(bench.repository(name), "dirty", bench.rounds(60))
        clean, status = samples["clean tree"], samples[_GIT]
        limit = (
            Limit(_median(clean) + 15, "clean + 15 ms") if name == "small"
            else Limit(2.5 * _median(status), "2.5 x git status")
        )  # fmt: skip
        for kind, times in samples.items():
            judged = limit if kind.startswith("dirty") else None
            rows.append(_row(f"{what}: {kind}", times, clean, judged))
    return rows


def burst(bench: Bench) -> list[Row]:
    """Measure six calls of tags(), the first of which starts a run, against one."""
    path = bench.repository("small")
    samples = probe(path, "burst", bench.rounds(200))
    one = samples["one call"]
    limit = Limit(1.2 * _median(one), "1.2 x one call")
    return [_row("one call", one), _row("six calls", samples["six calls"], one, limit)]


def start_run(bench: Bench) -> list[Row]:
    """Measure the whole mlflow.start_run() on a warm sqlite store."""
    samples = probe(bench.repository("small"), "fluent", bench.rounds(100))
    base = samples["start_run, plugin disabled"]
    one = samples["start_run"]
    limit = Limit(1.2 * _median(one), "1.2 x start_run")
    name = "start_run and five calls"
    return [
        _row("start_run, plugin disabled", base),
        _row("start_run, 10 outputs", one, base),
        _row(name, samples[name], one, limit),
    ]


def _rows(bench: Bench, path: str, samples: Samples, limit: Limit, dvc: int) -> list[Row]:
    """Return ours first; every ratio is to the whole call that MLflow makes."""
    base = samples[_TAGS]
    others = {name: times for name, times in samples.items() if name != _TAGS}
    others |= probe(path, "cold", bench.rounds(8, least=2))
    others |= _first(path, bench.rounds(7, least=2))
    if dvc:
        others |= probe(path, "dvc", bench.rounds(dvc, least=1))
    rows = [_row(_TAGS, base, base, limit)]
    return rows + [_row(name, times, base) for name, times in others.items()]


def _first(path: str, processes: int) -> Samples:
    """Return the times of the first tags() of fresh processes."""
    found = Times()
    for _ in range(processes):
        for times in probe(path, "first", 1).values():
            found.wall += times.wall
            found.cpu += times.cpu
    return {"first tags() of a process": found}


def _row(what: str, times: Times, base: Times | None = None, limit: Limit | None = None) -> Row:
    return Row(what, times.wall, base.wall if base else (), limit, cpu=times.cpu)


def _median(times: Times) -> float:
    return statistics.median(times.wall)
