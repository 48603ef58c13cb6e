"""The case about finding runs: `mlflow-dvc runs <commit>` beside one search of MLflow's."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import statistics
import subprocess
import sys

from benchmarks.bench import Bench
from benchmarks.table import Limit, Row
from benchmarks.timing import interleave, timed

_RUNS, _COMMITS = 100_000, 1_000
_EACH = _RUNS // _COMMITS
_SEARCH = """\
import sys, time
import mlflow
begin = time.perf_counter()
found = mlflow.search_runs(filter_string=sys.argv[1], search_all_experiments=True)
print((time.perf_counter() - begin) * 1e3, len(found))
"""


def runs(bench: Bench) -> list[Row]:
    """Measure whole processes; a run's commit is one of 1,000, some of them dirty.

    100 runs were started from the commit, ten made before it.
    """
    repo = bench.repository("small")
    uri, commit = _store(bench.base, repo), _id(repo, "HEAD")
    query = f"tags.`mlflow.source.git.commit` = '{commit}'"
    search: list[float] = []

    def theirs() -> None:
        out = _python(repo, uri, ["-c", _SEARCH, query])
        search.append(float(out.split()[0]))

    def ours() -> None:
        out = _python(repo, uri, ["-m", "mlflow_dvc_plugin.cli", "runs", commit, "--json"])
        if out.count('"run_id"') != _EACH + _EACH // 10:
            raise SystemExit(out)

    variants = {"theirs": timed(theirs), "ours": timed(ours)}
    times = interleave(variants, bench.rounds(10), warm_up=1)
    search = search[1:]
    whole = times["theirs"].wall
    allowed = statistics.median(whole) + 0.3 * statistics.median(search)
    limit = Limit(allowed, "1.3 x the search + its start")
    return [
        Row("mlflow.search_runs, whole process", whole, whole, cpu=times["theirs"].cpu),
        Row("  the search alone", search, whole),
        Row("mlflow-dvc runs <commit>", times["ours"].wall, whole, limit, cpu=times["ours"].cpu),
    ]


def _python(folder: str, uri: str, arguments: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env={**os.environ, "MLFLOW_TRACKING_URI": uri},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{arguments} failed:\n{done.stderr}")
    return done.stdout


def _id(repo: str, name: str) -> str:
    command = ["git", "rev-parse", name]
    done = subprocess.run(command, cwd=repo, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _store(base: str, repo: str) -> str:
    """Make an sqlite store of 100,000 runs with nine tags each, and return its URI."""
    path = os.path.join(base, "runs.db")
    uri = f"sqlite:///{path}"
    if not os.path.exists(path):
        _python(base, uri, ["-c", "import mlflow; mlflow.search_experiments()"])
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            _fill(database, [_id(repo, name) for name in ("HEAD", "HEAD~1")], _id(repo, "HEAD:"))
    return uri


def _fill(database: sqlite3.Connection, commits: list[str], tree: str) -> None:
    for number in range(_RUNS):
        run = f"{number:032x}"
        database.execute(
            "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id,"
            " status, start_time, end_time, source_version, lifecycle_stage, artifact_uri,"
            " experiment_id) VALUES (?, ?, 'UNKNOWN', '', '', 'bench', 'FINISHED', ?, ?, '',"
            " 'active', ?, 0)",
            (run, f"run-{number}", 1_700_000_000_000 + number, 1_700_000_001_000 + number, run),
        )
        database.executemany(
            "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)",
            [(key, value, run) for key, value in _tags(number, commits, tree).items()],
        )
        database.execute(
            "INSERT INTO params (key, value, run_uuid) VALUES ('lr', ?, ?)", (str(number), run)
        )
        database.execute(
            "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid)"
            " VALUES ('loss', ?, 0, 0, 0, ?)",
            (number / _RUNS, run),
        )


def _tags(number: int, commits: list[str], tree: str) -> dict[str, str]:
    which = number % _COMMITS
    data = f"{which:032x}"
    dirty = which == 1 and number % (10 * _COMMITS) > 9 * _COMMITS
    return {
        "mlflow.runName": f"run-{number}",
        "mlflow.source.git.commit": commits[which] if which < len(commits) else f"{which:040x}",
        "git.dirty": str(dirty).lower(),
        "git.tree": tree if dirty or not which else f"{which:040x}",
        "dvc.hash": data,
        "dvc.status": "clean",
        "dvc.manifest": f'{{"data/train.csv":"{data}"}}',
        "dvc.data.train.csv": data,
        "dvc.schema": "1",
    }
