"""Cases about Git commands with hooks: without any, with ours, with DVC's own."""

from __future__ import annotations

import itertools
import os
import statistics
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks import histories
from benchmarks.bench import Bench
from benchmarks.table import Limit, Row
from benchmarks.timing import Samples, Times, Variant, interleave, timed

_NONE, _EMPTY, _OURS, _DVC = "no hook", "empty hooks", "all our hooks", "DVC's hook"
_NOTHING: Mapping[str, Variant] = {}


@dataclass(frozen=True)
class _Task:
    """A Git command to time in a repository; ``before`` prepares it, untimed."""

    repo: str
    call: Callable[[], None]
    before: Callable[[], None] = lambda: None


def checkout(bench: Bench) -> list[Row]:
    """Measure `git checkout` between two commits with the same data."""
    rows = []
    for name, what in (("small", "10 outputs"), ("stages", "1,000 outputs")):
        repo = histories.history(bench, name)
        samples = _by_hooks(bench, _switching(repo, "code"), rounds=80, dvc=4)
        rows += _rows(samples, f"checkout, {what}", plus=8)
        git(repo, "checkout", "-q", "main")
    return rows


def add_and_status(bench: Bench) -> list[Row]:
    """Measure what refreshes the index, and so starts a hook each time."""
    repo = histories.history(bench, "stages")
    add = _Task(repo, lambda: git(repo, "add", "--", "changed.py"), lambda: _change(repo))
    status = _Task(repo, lambda: git(repo, "status", "--porcelain"), lambda: _change(repo))
    rows = _rows(_by_hooks(bench, add, rounds=100), "git add", plus=3)
    rows += _rows(_by_hooks(bench, status, rounds=100), "git status", plus=3)
    git(repo, "reset", "-q", "--hard")
    return rows


def commit(bench: Bench) -> list[Row]:
    """Measure a commit of code beside 1,000 clean outputs."""
    repo = histories.history(bench, "stages")

    def stage() -> None:
        _change(repo)
        git(repo, "add", "changed.py")

    task = _Task(repo, lambda: git(repo, "commit", "-q", "-m", "code"), stage)
    samples = _by_hooks(bench, task, rounds=30, dvc=3)
    git(repo, "reset", "-q", "--hard", "start")
    return _rows(samples, "commit, 1,000 outputs", plus=60)


def switch(bench: Bench) -> list[Row]:
    """Measure a switch where 1 of 1,000 outputs is another."""
    repo, single = histories.history(bench, "stages"), histories.history(bench, "single")
    samples = _by_hooks(bench, _switching(repo, "data"), rounds=12, dvc=3)
    alone = _dvc_checkout(bench, single, bench.rounds(12, least=2))
    in_place = _dvc_checkout(bench, repo, bench.rounds(3, least=1))
    base = alone.wall
    limit = Limit(1.5 * statistics.median(base), "1.5 x the output alone")
    rows = [Row("dvc checkout of it, alone", base, cpu=alone.cpu)]
    for kind, times in samples.items():
        judged = limit if kind == _OURS else None
        rows.append(Row(f"git checkout, {kind}", times.wall, base, judged, cpu=times.cpu))
    rows.append(Row("dvc checkout of it, in place", in_place.wall, base, cpu=in_place.cpu))
    return rows


def files(bench: Bench) -> list[Row]:
    """Measure a switch where 10 files of a directory of 20,000 are others."""
    repo = histories.history(bench, "folder")
    reading = [bench.python, "-c", histories.READ_LISTING, histories.listing(repo)]
    beside = {
        "work": timed(lambda: histories.least_work(repo)),
        "start": timed(lambda: subprocess.run(reading, check=True)),
    }
    samples = _by_hooks(bench, _switching(repo, "data"), rounds=30, dvc=2, beside=beside)
    floor, least = samples.pop("work"), samples.pop("start")
    limit = Limit(1.2 * statistics.median(floor.wall), "1.2 x copies and stats")
    plain = statistics.median(samples[_NONE].wall)
    # A hook is a process of its own, and which files differ stands in the listing: of what the
    # limit leaves beside the copies and stats, this much is gone before they begin.
    rows = [
        Row("10 copies, 20,000 stats", floor.wall, cpu=floor.cpu),
        Row("starting Python, reading the new listing", least.wall, floor.wall, cpu=least.cpu),
    ]
    for kind, times in samples.items():
        judged = limit if kind == _OURS else None
        wall = [value - plain for value in times.wall] if kind == _OURS else times.wall
        what = f"{kind}, less no hook" if kind == _OURS else kind
        rows.append(Row(f"git checkout, {what}", wall, floor.wall, judged, cpu=times.cpu))
    return rows


def git(repo: str, *args: str) -> None:
    """Run Git; what hooks say is not shown."""
    done = subprocess.run(["git", *args], cwd=repo, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"git {args} in {repo} failed:\n{done.stderr.decode()}")


def _by_hooks(
    bench: Bench, task: _Task, *, rounds: int, dvc: int = 0,
    beside: Mapping[str, Variant] = _NOTHING,
) -> Samples:  # fmt: skip
    """Time the command with each kind of hooks; with those of DVC ``dvc`` rounds.

    What is timed ``beside`` it takes its turn with them.
    """

    def variant(kind: str) -> Callable[[], tuple[float, float]]:
        folder = histories.hooks_folder(bench, task.repo, kind)

        def prepare() -> None:
            task.before()
            git(task.repo, "config", "core.hooksPath", folder)

        return timed(task.call, before=prepare)

    kinds = {_NONE: "none", _EMPTY: "empty", _OURS: "ours"}
    variants = {**{name: variant(kind) for name, kind in kinds.items()}, **beside}
    samples = interleave(variants, bench.rounds(rounds) // 2 * 2, warm_up=2)
    if dvc:
        samples |= interleave({_DVC: variant("dvc")}, bench.rounds(dvc, least=2), warm_up=0)
    git(task.repo, "config", "--unset", "core.hooksPath")
    return samples


def _rows(samples: Samples, what: str, plus: float) -> list[Row]:
    base = samples[_NONE]
    limit = Limit(statistics.median(base.wall) + plus, f"no hook + {plus:.0f} ms")
    return [
        Row(f"{what}: {kind}", times.wall, base.wall, limit if kind == _OURS else None,
            cpu=times.cpu)
        for kind, times in samples.items()
    ]  # fmt: skip


def _switching(repo: str, branch: str) -> _Task:
    """Return a switch to the branch, and the next time back."""
    branches = itertools.cycle([branch, "main"])
    return _Task(repo, lambda: git(repo, "checkout", "-q", next(branches)))


def _change(repo: str) -> None:
    with open(os.path.join(repo, "changed.py"), "w", encoding="ascii") as file:
        file.write(f"CHANGED = {os.urandom(8).hex()!r}\n")


def _dvc_checkout(bench: Bench, repo: str, rounds: int) -> Times:
    """Time DVC's own command where it has to replace the output."""
    switching = _switching(repo, "data")
    command = [bench.python, "-m", "dvc", "checkout", "--quiet", f"{histories.CHANGED}.dvc"]
    call = timed(lambda: subprocess.run(command, cwd=repo, check=True), before=switching.call)
    return interleave({"": call}, rounds // 2 * 2 or 2, warm_up=0)[""]
