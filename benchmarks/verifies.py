"""The case about `mlflow-dvc verify`: 1,000 runs of as many commits, with 10,000 objects on S3."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator

from benchmarks import repositories
from benchmarks.bench import Bench
from benchmarks.pushes import BUCKET, configure, server
from benchmarks.table import Limit, Row
from benchmarks.timing import interleave, timed

_RUNS, _EACH = 1000, 10
_IDENTITY = b"committer Bench <bench@example.org> 1700000000 +0000\n"


def verify(bench: Bench) -> list[Row]:
    """Measure it beside `dvc status --cloud` of one revision, times revisions."""
    repo = _build(bench.base)
    buckets = os.path.join(bench.base, "verify-buckets")
    with server(buckets) as address:
        configure(repo, address)
        command = [bench.python, "-m", "mlflow_dvc_plugin.cli", "verify", "--all", "--json"]
        ours = timed(lambda: _ask(repo, command))
        status = [bench.python, "-m", "dvc", "status", "--cloud", "--quiet"]
        dvc = timed(lambda: subprocess.run(status, cwd=repo, check=False))
        start = [bench.python, "-c", "import mlflow"]
        mlflow = timed(lambda: subprocess.run(start, cwd=repo, check=True))
        cases = {"ours": ours, "dvc": dvc, "mlflow": mlflow}
        found = interleave(cases, bench.rounds(8), warm_up=1)
    ours_times, dvc_times = found["ours"], found["dvc"]
    times = [one * _RUNS for one in dvc_times.wall]
    return [
        Row("verify, 1,000 runs", ours_times.wall, ours_times.wall, Limit(5000, "5 s"),
            cpu=ours_times.cpu),
        Row("  import mlflow alone", found["mlflow"].wall, ours_times.wall),
        Row("dvc status -c, one revision", dvc_times.wall, ours_times.wall, cpu=dvc_times.cpu),
        Row("  the same, times 1,000", times, ours_times.wall),
    ]  # fmt: skip


def _ask(repo: str, command: list[str]) -> None:
    uri = f"sqlite:///{repo}/mlflow.db"
    env = {**os.environ, "MLFLOW_TRACKING_URI": uri}
    done = subprocess.run(command, cwd=repo, env=env, capture_output=True, check=False)
    counts = json.loads(done.stdout)["counts"] if done.stdout else done.stderr.decode()
    if counts != {"reproducible": _RUNS}:
        raise SystemExit(f"not what is there: {counts}")


def _build(base: str) -> str:
    """Make a repository of 1,000 commits that each change ten outputs, its remotes and its runs."""
    repo = os.path.join(base, "verify")
    for folder in (repo, f"{repo}-buckets", f"{repo}.git"):
        shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(repo)
    _git(repo, "init", "--quiet", "--initial-branch=main")
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], cwd=repo, check=True)
    _git(repo, "add", "--all")
    _git(repo, "commit", "--quiet", "--message", "dvc")
    manifests: list[dict[str, str]] = []
    stream = b"".join(_commit(repo, number, manifests) for number in range(_RUNS))
    _git(repo, "fast-import", "--quiet", "--force", stdin=stream)
    _git(repo, "reset", "--quiet", "--hard", "main")
    _git(repo, "clone", "--quiet", "--bare", repo, f"{repo}.git")
    _git(repo, "remote", "add", "origin", f"{repo}.git")
    commits = _git(repo, "rev-list", "--reverse", "main").decode().split()[1:]
    _runs(repo, list(zip(commits, manifests, strict=True)))
    return repo


def _commit(repo: str, number: int, manifests: list[dict[str, str]]) -> bytes:
    text = b"commit refs/heads/main\n" + _IDENTITY + b"data 4\ndata\n"
    text += b"from refs/heads/main^0\n" if number == 0 else b""
    manifest = {}
    for each in range(_EACH):
        content = f"{number} {each}\n".encode()
        md5 = hashlib.md5(content).hexdigest()
        manifest[f"data/table{each}.csv"] = md5
        _keep(repo, md5, content)
        metadata = repositories.metadata(md5, len(content), None, f"table{each}.csv")
        text += b"M 100644 inline data/table%d.csv.dvc\ndata %d\n" % (each, len(metadata))
        text += metadata + b"\n"
    manifests.append(manifest)
    return text


def _keep(repo: str, md5: str, content: bytes) -> None:
    inside = os.path.join("files", "md5", md5[:2], md5[2:])
    for folder in (f"{repo}-buckets/{BUCKET}", f"{repo}/.dvc/cache"):
        path = os.path.join(folder, inside)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)


def _runs(repo: str, made: list[tuple[str, dict[str, str]]]) -> None:
    """Put the runs straight into the tables: through the client they would take seconds."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    path = os.path.join(repo, "mlflow.db")
    SqlAlchemyStore(f"sqlite:///{path}", os.path.join(repo, "mlruns")).engine.dispose()
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        ids = [hashlib.md5(commit.encode()).hexdigest() for commit, _ in made]
        database.executemany(
            "INSERT INTO runs (run_uuid, name, source_type, status, start_time, end_time,"
            " lifecycle_stage, artifact_uri, experiment_id, user_id)"
            " VALUES (?, 'run', 'UNKNOWN', 'FINISHED', ?, ?, 'active', '', 0, 'me')",
            [(one, 1_700_000_000_000 + at, 1_700_000_000_000 + at) for at, one in enumerate(ids)],
        )
        database.executemany(
            "INSERT INTO tags (run_uuid, key, value) VALUES (?, ?, ?)",
            [(one, *tag) for one, (commit, manifest) in zip(ids, made, strict=True)
             for tag in _tags(commit, manifest)],
        )  # fmt: skip


def _tags(commit: str, manifest: dict[str, str]) -> Iterator[tuple[str, str]]:
    yield "mlflow.source.git.commit", commit
    yield from (("git.dirty", "false"), ("dvc.schema", "1"), ("dvc.status", "clean"))
    yield "dvc.hash", hashlib.md5(json.dumps(manifest).encode()).hexdigest()
    yield "dvc.manifest", json.dumps(manifest)
    yield from ((f"dvc.{path.replace('/', '.')}", value) for path, value in manifest.items())


def _git(root: str, *args: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(["git", *args], cwd=root, input=stdin, stdout=subprocess.PIPE, check=True)
    return done.stdout
