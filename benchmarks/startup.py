"""Cases about whole processes: what `import mlflow` costs, and memory."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.bench import Bench
from benchmarks.processes import probe
from benchmarks.table import Limit, Row

_IMPORT = """\
import time
begin, cpu = time.perf_counter(), time.process_time()
import mlflow
print((time.perf_counter() - begin) * 1e3, (time.process_time() - cpu) * 1e3)
"""
# What MLflow does for a plugin when it is imported, alone: the difference of two imports of more
# than a second each is lost in their noise.
_LOAD = """\
import sys, time
import mlflow
from importlib.metadata import distributions
sys.path.append({ours!r})
begin, cpu = time.perf_counter(), time.process_time()
for found in distributions(path=[{ours!r}]):
    for entry in found.entry_points:
        if entry.group in ("mlflow.run_context_provider", "mlflow.dataset_source"):
            entry.load()
print((time.perf_counter() - begin) * 1e3, (time.process_time() - cpu) * 1e3)
assert "mlflow_dvc_plugin.context" in sys.modules
"""
_IMPORTTIME = "import sys, mlflow; sys.path.append({ours!r}); import mlflow_dvc_plugin.context"
# VmHWM, for ru_maxrss also counts what the parent had before it became this process.
_MEMORY = """\
import resource, sys
import mlflow
with mlflow.start_run() as run:
    tags = run.data.tags
try:
    status = open("/proc/self/status").read()
    kilobytes = int(status.partition("VmHWM:")[2].split()[0])
except OSError:
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kilobytes //= 1024 if sys.platform == "darwin" else 1
print(kilobytes / 1024, tags.get("dvc.status") == "clean")
"""
_FORGET = "import shutil; shutil.rmtree('.dvc/tmp/mlflow-dvc', ignore_errors=True)\n"


def import_mlflow(bench: Bench) -> list[Row]:
    """Compare `import mlflow` in fresh processes, with the plugin installed and without."""
    without, plugin = _by_turns(bench, _IMPORT, bench.rounds(12))
    added = [_less(plugin[kind], without[kind]) for kind in (0, 1)]
    load = _LOAD.format(ours=bench.packages.ours)
    loads = [_numbers(bench, load, False) for _ in range(bench.rounds(8) + 1)][1:]
    wall, cpu = ([each[kind] for each in loads] for kind in (0, 1))
    return [
        Row("import mlflow, without the plugin", without[0], cpu=without[1]),
        Row("import mlflow, with it", plugin[0], without[0], cpu=plugin[1]),
        Row("  difference, pair by pair", added[0], cpu=added[1]),
        Row("  finding and loading our plugin, alone", wall, limit=Limit(5, "+5 ms"), cpu=cpu),
        Row("  -X importtime, our modules", _importtime(bench, bench.rounds(3, least=1))),
    ]


def memory(bench: Bench) -> list[Row]:
    """Compare the peak resident memory of a process that starts one run; 20,000 files."""
    folder = bench.repository("folder")
    probe(folder, "warm", 1)  # the store is there
    without, plugin = _by_turns(bench, _MEMORY, bench.rounds(4, least=2), folder)
    bare, cold = _by_turns(bench, _FORGET + _MEMORY, bench.rounds(3, least=1), folder)
    if any(without[1]) or not all(plugin[1]):
        raise SystemExit("the plugin was there when it should not be, or the other way round")
    added = _less(plugin[0], without[0])
    traced = probe(folder, "allocated", 1).items()
    return [
        Row("peak of a run, without the plugin", without[0], unit="MB"),
        Row("peak of a run, with it", plugin[0], without[0], unit="MB"),
        Row("  difference, pair by pair", added, limit=Limit(10, "+10 MB"), unit="MB"),
        Row(
            "  difference, first look ever",
            _less(cold[0], bare[0]),
            limit=Limit(10, "+10 MB"),
            unit="MB",
        ),
        *(
            Row(f"  allocated at the peak of {name}", times.wall, unit="MB")
            for name, times in traced
        ),
    ]


def _by_turns(
    bench: Bench, code: str, rounds: int, folder: str | None = None
) -> tuple[list[list[float]], list[list[float]]]:
    """Return each number the code prints, without and with the plugin; the first is a warm-up."""
    without, plugin = [], []
    for _ in range(rounds + 1):
        without.append(_numbers(bench, code, False, folder))
        plugin.append(_numbers(bench, code, True, folder))
    return _columns(without[1:]), _columns(plugin[1:])


def _columns(rounds: Sequence[Sequence[float]]) -> list[list[float]]:
    return [list(column) for column in zip(*rounds, strict=True)]


def _numbers(bench: Bench, code: str, plugin: bool, folder: str | None = None) -> list[float]:
    printed = bench.packages.run(folder or bench.base, code, plugin).split()
    return [float(part) if part[0] in "-0123456789" else float(part == "True") for part in printed]


def _less(plugin: Sequence[float], without: Sequence[float]) -> list[float]:
    return [b - a for a, b in zip(without, plugin, strict=True)]


def _importtime(bench: Bench, rounds: int) -> list[float]:
    """Return the milliseconds that Python itself attributes to modules of ours.

    Python lists what an import statement loads, not what an entry point does: hence the statement.
    """
    code = _IMPORTTIME.format(ours=bench.packages.ours)
    samples = []
    for _ in range(rounds):
        out = bench.packages.run(bench.base, code, False, "-X", "importtime")
        lines = [line.split("|") for line in out.splitlines() if "mlflow_dvc_plugin" in line]
        samples.append(sum(float(line[0].rpartition(":")[2]) for line in lines) / 1000)
    return samples
