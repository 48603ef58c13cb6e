"""Many processes and threads at once, and processes that die: no run may pay for another."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import mlflow
import pytest
from conftest import Dvc, Git, PythonIn
from mlflow.tracking import fluent
from tagrules import ours

# MLflow 2.16 has one stack of active runs for all threads: two of them cannot each have a run.
THREADS = 1 if isinstance(fluent._active_run_stack, list) else 4
PROCESSES, RUNS_EACH = 16, 40 // THREADS
WORKER = f"""
import sys
from concurrent.futures import ThreadPoolExecutor
import mlflow
mlflow.set_experiment(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
def job(number):
    with mlflow.start_run(run_name=f"{{sys.argv[2]}}-{{number}}"):
        pass
with ThreadPoolExecutor({THREADS}) as pool:
    list(pool.map(job, range({THREADS * RUNS_EACH})))
"""


def listing(*folders: Path) -> set[str]:
    """Return every path below these folders, but for the `mlruns` that older MLflow makes."""
    return {
        os.path.join(where, name)
        for folder in folders
        for where, folders_in, files in os.walk(folder)
        for name in (*folders_in, *files)
        if name != "mlruns"
    }


@pytest.mark.slow
def test_640_runs_at_once_in_one_dirty_repository_are_all_tagged_the_same(
    repo: Path, tmp_path: Path, postgresql: str, use_store: object
) -> None:
    assert callable(use_store)
    use_store(postgresql)
    name = f"many-{os.getpid()}"
    mlflow.set_experiment(name)
    (repo / "train.py").write_text("changed\n")
    (repo / "data/train.csv").write_text("changed\n")
    with mlflow.start_run() as first:
        pass
    before = listing(repo, tmp_path / "home")
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, name, str(number)], cwd=repo, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for number in range(PROCESSES)
    ]  # fmt: skip
    for worker in workers:
        assert worker.stdout and worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin
        worker.stdin.write("\n")
        worker.stdin.flush()
    errors = "".join(worker.communicate()[1] for worker in workers)
    assert [worker.returncode for worker in workers] == [0] * PROCESSES, errors
    assert "lock" not in errors.lower() and "Traceback" not in errors, errors
    runs = mlflow.search_runs(experiment_names=[name], max_results=1000, output_format="list")
    assert len(runs) == PROCESSES * THREADS * RUNS_EACH + 1
    kinds = Counter(tuple(sorted(ours(run.data.tags).items())) for run in runs)
    expected = ours(mlflow.get_run(first.info.run_id).data.tags)
    assert dict(next(iter(kinds))) == expected
    assert len(kinds) == 1, [dict(kind) for kind in kinds]
    assert expected["git.dirty"] == "true" and expected["dvc.status"] == "modified"
    assert listing(repo, tmp_path / "home") - before == set()


# Forks children that capture, kills each after a delay, and captures again undisturbed.
KILLER = """
import json, os, random, signal, sys, time
from mlflow_dvc_plugin.context import DvcRunContext

def capture():
    provider = DvcRunContext()
    return provider.tags() if provider.in_context() else None

def in_child(delay):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        answer = json.dumps(capture()).encode()
        os.write(write, answer)
        os._exit(0)
    os.close(write)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    answer = b"".join(iter(lambda: os.read(read, 65536), b""))
    os.close(read)
    os.waitpid(child, 0)
    return json.loads(answer) if answer else None

def change():
    with open("data/train.csv", "ab") as file:
        file.write(b"more\\n")

random.seed(int(sys.argv[1]))
start = time.perf_counter()
assert in_child(None)["dvc.status"] == "clean"
change()
in_child(None)
longest = time.perf_counter() - start
killed = 0
for _ in range(20):
    change()
    killed += in_child(random.uniform(0, longest)) is None
    tags = in_child(None)
    print(json.dumps({key: tags[key] for key in ("dvc.status", "dvc.data.train.csv")}))
assert killed >= 5, killed
"""


@pytest.mark.slow
def test_a_capture_killed_at_any_moment_breaks_nothing(
    repo: Path, git: Git, dvc: Dvc, python_in: PythonIn
) -> None:
    (repo / "data/train.csv").write_bytes(b"x" * 20_000_000)  # some 35 ms of hashing
    dvc("commit", "--quiet", "--force", "data/train.csv.dvc")
    git("commit", "-q", "--all", "--message", "more")
    import hashlib
    import json

    lines = [json.loads(line) for line in python_in(repo, KILLER, "1").splitlines()]
    assert len(lines) == 20
    assert {line["dvc.status"] for line in lines} == {"modified"}
    assert len({line["dvc.data.train.csv"] for line in lines}) == 20
    last = hashlib.md5((repo / "data/train.csv").read_bytes()).hexdigest()
    assert lines[-1]["dvc.data.train.csv"] == last
    assert not [path for path in listing(repo) if path.endswith(".lock") and "/.git/" in path]
    git("status")
    dvc("status")
