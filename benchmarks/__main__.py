"""Measure what the plugin costs and print it as a table: `python -m benchmarks [case ...]`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version

from benchmarks import captures, diffs, hooks, pushes, startup
from benchmarks.bench import Bench
from benchmarks.processes import isolate
from benchmarks.table import Row, render

CASES: dict[str, tuple[str, Callable[[Bench], list[Row]]]] = {
    "tags": ("tags(), 10 outputs, clean", captures.tags),
    "burst": ("burst of 6 calls", captures.burst),
    "start_run": ("mlflow.start_run(), sqlite", captures.start_run),
    "stages": ("1,000 .dvc files, unchanged", captures.stages),
    "folder": ("one directory of 20,000 files, unchanged", captures.folder),
    "git": ("Git repository of 100,000 files", captures.git),
    "snapshot": ("the start of a run in a dirty tree", captures.snapshot),
    "import": ("import mlflow", startup.import_mlflow),
    "checkout": ("git checkout between commits with the same data", hooks.checkout),
    "index": ("git add and git status", hooks.add_and_status),
    "commit": ("git commit of code beside 1,000 clean outputs", hooks.commit),
    "switch": ("git checkout where 1 of 1,000 outputs is another", hooks.switch),
    "files": ("git checkout where 10 of 20,000 files are others", hooks.files),
    "push": ("git push of 100 commits, 990 of 1,000 objects there", pushes.push),
    "diff": ("mlflow-dvc diff, directories of 20,000 files", diffs.diff),
    "memory": ("memory at 20,000 files", startup.memory),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the cases; return 1 when one misses its limit."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="What the plugin costs, beside what a user would do without it.",
        epilog="Repositories are built in a temporary folder, or in $BENCH_DIR and kept there.",
    )
    parser.add_argument("cases", nargs="*", metavar="case", help=", ".join(CASES))
    parser.add_argument("--quick", action="store_true", help="a sixth of the rounds")
    parser.add_argument("--json", metavar="FILE", help="also write every sample there")
    options = parser.parse_args(argv)
    unknown = sorted(set(options.cases) - set(CASES))
    if unknown:
        parser.error(f"there is no case {', '.join(unknown)}; there are: {', '.join(CASES)}")
    kept = os.environ.get("BENCH_DIR")
    if kept:
        os.makedirs(kept, exist_ok=True)
        found = _run(Bench(os.path.realpath(kept), options.quick), options.cases)
    else:
        with tempfile.TemporaryDirectory(prefix="mlflow-dvc-bench-") as folder:
            found = _run(Bench(os.path.realpath(folder), options.quick), options.cases)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"machine": _machine(), "cases": _to_json(found)}, file, indent=1)
    missed = [
        f"{name}: {row.what.strip()}"
        for name, rows in found.items()
        for row in rows
        if row.verdict.startswith("MISSED")
    ]
    print("missed: " + "; ".join(missed) if missed else "every limit is kept")
    return 1 if missed else 0


def _run(bench: Bench, names: Sequence[str]) -> dict[str, list[Row]]:
    isolate(bench.base)
    print(_machine())
    found = {}
    for name in names or CASES:
        title, case = CASES[name]
        begin = time.monotonic()
        found[name] = case(bench)
        seconds = time.monotonic() - begin
        print(f"\n### {name}: {title} ({seconds:.0f} s)\n\n{render(found[name])}", flush=True)
    print()
    return found


def _machine() -> str:
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    versions = ", ".join(f"{name} {version(name)}" for name in ("mlflow", "dvc"))
    python = platform.python_version()
    return f"{os.cpu_count()} cores{load}, {platform.system()}, Python {python}, {versions}"


def _to_json(found: dict[str, list[Row]]) -> dict[str, list[dict[str, object]]]:
    return {name: [row.to_json() for row in rows] for name, rows in found.items()}


if __name__ == "__main__":
    sys.exit(main())
