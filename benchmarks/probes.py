"""What runs inside a measured process: the `train.py` of a generated repository calls main().

A process of its own, because the main script decides which repository is the code's. Each probe
takes a number of rounds and returns name -> times of every round.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from benchmarks.repositories import FOLDER_OUTPUT, SCRIPT
from benchmarks.timing import Samples, Times, interleave, timed, to_json

_MANY = 1_000
_GIT_STATUS = ["git", "status", "--porcelain=v2"]


def main() -> None:
    """Run the probe that the command line names and print its samples as JSON."""
    name, rounds = sys.argv[1], int(sys.argv[2])
    json.dump(to_json(PROBES[name](rounds)), sys.stdout)


def warm(rounds: int) -> Samples:
    """Measure the start of a run in a process that has started one before."""
    from mlflow_dvc_plugin.capture.live import Facts

    start = _at_start_run(_provider().tags)
    _check_that_it_looks(start)
    capture = _capture(Facts())
    variants = {
        "tags() at a run's start": timed(start),
        "capture and to_tags": timed(capture),
        "git status --porcelain=v2": timed(_git_status),
    }
    if os.path.isdir(FOLDER_OUTPUT) and len(os.listdir(FOLDER_OUTPUT)) > _MANY:
        variants["scandir and stat"] = timed(_scan)
    return interleave(variants, rounds)


def burst(rounds: int) -> Samples:
    """Measure a run's start against the start and five calls that follow it."""
    tags = _provider().tags
    start = _at_start_run(tags)

    def six() -> None:
        start()
        for _ in range(5):
            tags()

    return interleave({"one call": timed(start), "six calls": timed(six)}, rounds)


def dirty(rounds: int) -> Samples:
    """Measure the start of a run in a clean tree, and in one that was changed just before."""
    start = _at_start_run(_provider().tags)
    _check_that_it_looks(start)
    with open(SCRIPT, "rb") as file:
        clean = file.read()

    def restore() -> None:
        with open(SCRIPT, "wb") as file:
            file.write(clean)

    def change() -> None:
        with open(SCRIPT, "ab") as file:
            file.write(b"# %d\n" % time.time_ns())

    change()
    if "git.snapshot" not in start():
        raise SystemExit("the dirty tree was not kept")
    variants = {
        "clean tree": timed(start, before=restore),
        "dirty, just changed": timed(start, before=change, after=restore),
        "git status --porcelain=v2": timed(_git_status, before=change, after=restore),
    }
    try:
        return interleave(variants, rounds)
    finally:
        restore()


def fluent(rounds: int) -> Samples:
    """Measure mlflow.start_run() as it is, without the plugin, and with five calls more."""
    import mlflow

    tags = _provider().tags

    def start() -> None:
        mlflow.start_run()

    def six() -> None:
        mlflow.start_run()
        for _ in range(5):
            tags()

    def disable() -> None:
        os.environ["MLFLOW_DVC_DISABLE"] = "1"

    def end() -> None:
        os.environ.pop("MLFLOW_DVC_DISABLE", None)
        mlflow.end_run()

    return interleave(
        {
            "start_run, plugin disabled": timed(start, before=disable, after=end),
            "start_run": timed(start, after=end),
            "start_run and five calls": timed(six, after=end),
        },
        rounds,
    )


def cold(rounds: int) -> Samples:
    """Measure a capture that knows nothing, and one that finds what an earlier process learned."""
    from mlflow_dvc_plugin.capture.live import Facts

    def first() -> None:
        _capture(Facts())()

    variants = {
        "first look ever": timed(first, before=_forget),
        "nothing in memory, store on disk": timed(first),
    }
    return interleave(variants, rounds, warm_up=1)


def first(_: int) -> Samples:
    """Measure the first tags() of a process, imports included; the store is on disk."""
    start = _at_start_run(_provider().tags)
    from mlflow.tracking.context.git_context import GitRunContext

    GitRunContext().in_context()  # MLflow asks it first: `import git` is not our cost
    return interleave({"first tags() of a process": timed(start)}, 1, warm_up=0)


def dvc(rounds: int) -> Samples:
    """Measure what DVC itself offers: the library in this process, and the command."""
    from dvc.repo import Repo

    def library() -> None:
        with Repo() as repo:
            repo.data_status()

    def command() -> None:
        _run([sys.executable, "-m", "dvc", "data", "status", "--json"])

    variants = {"Repo().data_status()": timed(library), "dvc data status --json": timed(command)}
    library()  # DVC's first look hashes everything
    return interleave(variants, rounds, warm_up=0)


def allocated(_: int) -> Samples:
    """Return the megabytes allocated at the peak of a warm capture and of a first look."""
    from mlflow_dvc_plugin.capture.live import Facts

    capture = _capture(Facts())
    for _ in range(3):
        capture()
    tracemalloc.start()
    found = {"a warm capture": Times([_peak(capture)])}
    _forget()
    found["a first look"] = Times([_peak(_capture(Facts()))])
    return found


def _peak(call: Callable[[], object]) -> float:
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    call()
    return (tracemalloc.get_traced_memory()[1] - before) / 1e6


def _provider() -> Any:
    """Return the provider as MLflow has loaded it."""
    import mlflow  # noqa: F401
    from mlflow.tracking.context.registry import _run_context_provider_registry as registry

    for provider in registry:
        if type(provider).__name__ == "DvcRunContext":
            return provider
    raise SystemExit("MLflow has not loaded the plugin: install it first (make bench does)")


def _at_start_run(call: Callable[[], Any]) -> Callable[[], Any]:
    """Return ``call`` as the fluent API makes it: then it is not answered from the last second."""
    namespace = {"__name__": "mlflow.tracking.fluent", "call": call}
    exec("def start_run():\n    return call()\n", namespace)
    start: Callable[[], Any] = namespace["start_run"]  # type: ignore[assignment]
    return start


def _check_that_it_looks(start: Callable[[], Any]) -> None:
    """Stop unless two calls within a second see a file that was made in between."""
    before = start().get("git.untracked")
    name = f"seen-{time.time_ns()}.txt"
    with open(name, "w", encoding="ascii") as file:
        file.write("is this noticed?\n")
    try:
        after = start().get("git.untracked")
    finally:
        os.unlink(name)
    if (before, after) != (None, "1"):
        raise SystemExit(f"not a capture: git.untracked was {before}, then {after}")
    tags = start()
    if tags.get("dvc.status") != "clean" or tags.get("git.dirty") != "false":
        raise SystemExit(f"the generated repository is not clean: {tags}")


def _capture(facts: Any) -> Callable[[], object]:
    from mlflow_dvc_plugin.capture.live import capture
    from mlflow_dvc_plugin.tags import to_tags

    return lambda: to_tags(capture(facts)[0])


def _forget() -> None:
    """Remove what captures have learned; the budget of the next is the usual one."""
    shutil.rmtree(os.path.join(".dvc", "tmp", "mlflow-dvc"), ignore_errors=True)


def _git_status() -> None:
    _run(_GIT_STATUS)


def _scan() -> int:
    """Look at each file of the directory output once: what no answer from `stat` can undercut."""
    total = 0
    with os.scandir(FOLDER_OUTPUT) as entries:
        for entry in entries:
            total += entry.stat().st_size
    return total


def _run(command: list[str]) -> None:
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)


PROBES: dict[str, Callable[[int], Samples]] = {
    probe.__name__: probe for probe in (allocated, burst, cold, dirty, dvc, first, fluent, warm)
}
