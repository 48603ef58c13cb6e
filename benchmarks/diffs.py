"""The case about `mlflow-dvc diff`: two runs whose data are directories of 20,000 files."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

from benchmarks import histories, repositories
from benchmarks.bench import Bench
from benchmarks.table import Limit, Row
from benchmarks.timing import interleave, timed

_LIMIT = Limit(1000, "1 s + start-up")


def diff(bench: Bench) -> list[Row]:
    """Measure whole commands; start-up is the command that compares no more than parameters."""
    repo = histories.history(bench, "folder")
    runs = [_run(repo, branch) for branch in ("main", "data")]
    ours = [bench.python, "-m", "mlflow_dvc_plugin.cli", "diff", "--json"]
    start, two, one, dvc = (
        "start-up: finding the two runs", "mlflow-dvc diff RUN RUN", "mlflow-dvc diff RUN",
        "dvc diff --json main data",
    )  # fmt: skip
    commands = {
        start: [*ours, *runs, "--only", "params"],
        two: [*ours, *runs],
        one: [*ours, runs[1]],
        dvc: [bench.python, "-m", "dvc", "diff", "--json", "main", "data"],
    }
    subprocess.run(commands[one], cwd=repo, stdout=subprocess.DEVNULL, check=True)
    found = subprocess.run(commands[two], cwd=repo, stdout=subprocess.PIPE, check=True).stdout
    if found.count(b'"kind": "changed"') < 10:
        raise SystemExit(f"not the ten files that differ: {found[:500].decode()}")
    samples = interleave(
        {name: timed(_runner(repo, command)) for name, command in commands.items()},
        bench.rounds(12), warm_up=1,
    )  # fmt: skip
    base = samples[start].wall
    rows = [Row(name, times.wall, base, cpu=times.cpu) for name, times in samples.items()]
    for name in (two, one):
        less = [wall - plain for wall, plain in zip(samples[name].wall, base, strict=True)]
        rows.append(Row(f"  {name}, less start-up", less, limit=_LIMIT if name == two else None))
    return rows


def _runner(repo: str, command: list[str]) -> Callable[[], object]:
    return lambda: subprocess.run(command, cwd=repo, stdout=subprocess.DEVNULL, check=True)


def _run(repo: str, branch: str) -> str:
    """Make a run with the tags that one started at the branch has; return its id."""
    import mlflow

    from mlflow_dvc_plugin.lineage.revision import Revisions, commit_id
    from mlflow_dvc_plugin.provenance import Code, Data, OutputState, Provenance
    from mlflow_dvc_plugin.tags import to_tags

    commit = commit_id(repo, branch)
    output = Revisions(repo).at(commit).outputs[repositories.FOLDER_OUTPUT]
    data = Data(repo, repo, inputs=(OutputState(output, "clean", output.hash),))
    code = Code(repo, commit, branch, dirty=False)
    client = mlflow.MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    run = client.create_run("0", tags=to_tags(Provenance(code, data), 20))
    return str(run.info.run_id)
