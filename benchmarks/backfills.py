"""The case about old runs: what `mlflow-dvc backfill` adds to MLflow's own writing."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
import subprocess
import uuid
from typing import Any

from benchmarks import repositories
from benchmarks.bench import Bench
from benchmarks.table import Limit, Row
from benchmarks.timing import Times, interleave, timed

_COMMITS, _RUNS = 500, 5000
_TRIED = 10  # commits that are checked out; the others are reckoned from them


def backfill(bench: Bench) -> list[Row]:
    """Measure 5,000 runs over 500 commits of a repository with 10 outputs."""
    repo, commits = _history(bench)
    store = _store(bench.base, commits)
    tags = _tags(repo, commits, store)
    client = _client(bench.base)

    def fresh() -> None:
        shutil.copyfile(store, os.path.join(bench.base, "backfill.db"))

    def batches() -> None:
        from mlflow.entities import RunTag

        for run_id, found in tags.items():
            client.log_batch(run_id, tags=[RunTag(key, value) for key, value in found.items()])

    variants = {
        "log_batch": timed(batches, fresh),
        "ours": timed(lambda: _backfill(client, repo, write=True), fresh),
        "look": timed(lambda: _backfill(client, repo, write=False)),
    }
    times = interleave(variants, bench.rounds(3, least=1), warm_up=0)
    checkouts = _reckoned(repo, commits)
    base = times["log_batch"]
    limit = Limit(1.5 * Row("", base.wall).median, "1.5 x log_batch")
    names = {
        "ours": "backfill --apply, without start-up", "log_batch": "5,000 log_batch calls alone",
        "look": "backfill, which only looks",
    }  # fmt: skip
    return [
        *(
            Row(text, times[name].wall, base.wall, limit if name == "ours" else None,
                cpu=times[name].cpu)
            for name, text in names.items()
        ),
        Row(f"git checkout + dvc.api.get_url, reckoned from {_TRIED} of {_COMMITS} commits",
            checkouts.wall, base.wall, cpu=checkouts.cpu),
    ]  # fmt: skip


def _backfill(client: Any, repo: str, write: bool) -> None:
    from mlflow_dvc_plugin.lineage.backfill import backfill as fill

    found = fill(client, repo, ["0"], write=write)
    if found.here != (_RUNS if write else 0) and write:
        raise SystemExit(f"only {found.here} runs were tagged")


def _client(base: str) -> Any:
    import mlflow

    uri = f"sqlite:///{os.path.join(base, 'backfill.db')}"
    mlflow.set_tracking_uri(uri)
    return mlflow.MlflowClient(tracking_uri=uri)


def _history(bench: Bench) -> tuple[str, list[str]]:
    """Return a repository whose commits each change one output and one file of code."""
    root = os.path.join(bench.base, "history-backfill")
    if not os.path.isdir(root):
        shutil.copytree(bench.repository("small"), f"{root}.new", symlinks=True)
        stream = b"".join(map(_commit, range(_COMMITS)))
        _git(f"{root}.new", "fast-import", "--quiet", "--force", stdin=stream)
        _git(f"{root}.new", "reset", "--quiet", "--hard", "main")
        os.rename(f"{root}.new", root)
    listed = _git(root, "rev-list", f"--max-count={_COMMITS}", "main").split()
    return root, listed


def _commit(number: int) -> bytes:
    name = f"table{number % 9:04}.csv"
    md5 = hashlib.md5(b"%d" % number).hexdigest()
    metadata = repositories.metadata(md5, 1, None, name)
    text = b"commit refs/heads/main\ncommitter Bench <bench@example.org> 1700000000 +0000\n"
    text += b"data 4\ndata\n" + (b"from refs/heads/main^0\n" if number == 0 else b"")
    text += b"M 100644 inline data/part00/%s.dvc\n" % name.encode()
    text += b"data %d\n%s\n" % (len(metadata), metadata)
    code = b"NUMBER = %d\n" % number
    return text + b"M 100644 inline changed.py\ndata %d\n%s\n" % (len(code), code)


def _store(base: str, commits: list[str]) -> str:
    """Make an sqlite store of runs that have a commit and the name of their script."""
    path = os.path.join(base, "backfill-runs.db")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore(f"sqlite:///{path}", base).engine.dispose()
    runs = [(uuid.uuid4().hex, number, commits[number % len(commits)]) for number in range(_RUNS)]
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.executemany(
            "INSERT INTO runs (run_uuid, name, source_type, source_name, status, start_time, "
            "lifecycle_stage, experiment_id, artifact_uri, user_id, entry_point_name, "
            "source_version) VALUES (?, 'old', 'LOCAL', '', 'FINISHED', ?, 'active', 0, '', "
            "'bench', '', '')",
            [(run_id, 1_700_000_000_000 + number) for run_id, number, _ in runs],
        )
        tags = [
            (key, value, run_id)
            for run_id, _, commit in runs
            for key, value in (
                ("mlflow.source.git.commit", commit), ("mlflow.source.name", "train.py"),
                ("mlflow.source.type", "LOCAL"), ("mlflow.user", "bench"),
            )
        ]  # fmt: skip
        database.executemany("INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)", tags)
    return path


def _tags(repo: str, commits: list[str], store: str) -> dict[str, dict[str, str]]:
    """Return the tags that each run gets, for the calls of `log_batch` alone."""
    from mlflow_dvc_plugin.lineage.past import Past

    past = Past(repo)
    past.revisions.prefetch(commits)
    with contextlib.closing(sqlite3.connect(store)) as database:
        query = "SELECT run_uuid, value FROM tags WHERE key = 'mlflow.source.git.commit'"
        rows = sorted(database.execute(query), key=lambda row: str(row[1]))
    return {run_id: dict(past.tags(commit, "train.py")) for run_id, commit in rows}


def _reckoned(repo: str, commits: list[str]) -> Times:
    """Time the loop that a person would write, on some commits; return it for all of them."""
    import dvc.api

    paths = [
        os.path.join(folder, name.removesuffix(".dvc"))
        for folder, _, names in os.walk(os.path.join(repo, "data"))
        for name in names
        if name.endswith(".dvc")
    ]

    def loop() -> None:
        for commit in commits[:_TRIED]:
            _git(repo, "checkout", "--quiet", commit)
            for path in paths:
                dvc.api.get_url(os.path.relpath(path, repo), repo=repo, remote="there")
        _git(repo, "checkout", "--quiet", "main")

    config = [
        "[core]\n",
        "    remote = there\n",
        "['remote \"there\"']\n",
        f"    url = {repo}-there\n",
    ]
    with open(os.path.join(repo, ".dvc", "config.local"), "w", encoding="utf-8") as file:
        file.writelines(config)
    found = interleave({"": timed(loop)}, 1, warm_up=0)[""]
    factor = len(commits) / _TRIED
    return Times([one * factor for one in found.wall], [one * factor for one in found.cpu])


def _git(root: str, *args: str, stdin: bytes = b"") -> str:
    done = subprocess.run(["git", *args], cwd=root, input=stdin, capture_output=True, check=True)
    return done.stdout.decode()
