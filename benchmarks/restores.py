"""The case about bringing a run back, with its data in the cache."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys

from benchmarks import histories, repositories
from benchmarks.bench import Bench
from benchmarks.hooks import git
from benchmarks.table import Limit, Row
from benchmarks.timing import interleave, timed
from mlflow_dvc_plugin.lineage.parts import How
from mlflow_dvc_plugin.lineage.record import Record
from mlflow_dvc_plugin.lineage.restore import restore


def beside(bench: Bench) -> list[Row]:
    """Measure a restore of a directory of 20,000 files, by hard links."""
    repo = histories.history(bench, "folder")
    _dvc(repo, "config", "--local", "cache.type", "hardlink")
    git(repo, "config", "core.hooksPath", os.devnull)
    to, clone = os.path.join(bench.base, "restored"), os.path.join(bench.base, "cloned")
    run = _run(repo)

    def again() -> None:
        git(repo, "worktree", "remove", "--force", "--force", to)

    def bring() -> None:
        outcome = restore(run, How(to=to), repo, lambda *_: None)
        if not outcome.whole:
            raise SystemExit(f"the restore has failed: {outcome}")

    def first() -> None:
        """Bring it back without what is known of the objects: each is read."""
        shutil.rmtree(os.path.join(repo, ".git", "mlflow-dvc", "objects"), ignore_errors=True)
        bring()

    def by_hand() -> None:
        git(bench.base, "clone", "--quiet", repo, clone)
        _dvc(clone, "config", "--local", "cache.dir", os.path.join(repo, ".dvc", "cache"))
        _dvc(clone, "config", "--local", "cache.type", "hardlink")
        _dvc(clone, "checkout", "--quiet")

    made = timed(lambda: git(repo, "worktree", "add", "-q", "--detach", to, "main"), after=again)
    linked = timed(lambda: _link(repo, to), after=lambda: shutil.rmtree(to))
    read = timed(lambda: _link(repo, to, read=True), after=lambda: shutil.rmtree(to))
    hand = timed(by_hand, after=lambda: shutil.rmtree(clone))
    ours = timed(bring, after=again)
    reading = timed(first, after=again)
    rounds = bench.rounds(12)
    # The first is followed by another one: what it wrote down is there.
    turns = {"add": made, "link": linked, "read": read, "first": reading, "ours": ours}
    samples = interleave(turns, rounds, warm_up=1)
    slow = interleave({"hand": hand}, bench.rounds(3, least=1), warm_up=0)["hand"]
    parts = [statistics.median(samples[name].wall) for name in ("add", "link")]
    limit = Limit(parts[0] + 1.3 * parts[1], "git worktree add + 1.3 x linking")
    base = samples["link"].wall
    return [
        Row("stat and link of 20,000 objects", base, cpu=samples["link"].cpu),
        Row("the same, and reading each once", samples["read"].wall, base, cpu=samples["read"].cpu),
        Row("git worktree add", samples["add"].wall, base, cpu=samples["add"].cpu),
        Row("restore --to", samples["ours"].wall, base, limit, cpu=samples["ours"].cpu),
        Row("  the first, each object read", samples["first"].wall, base, cpu=samples["first"].cpu),
        Row("git clone, dvc checkout", slow.wall, base, cpu=slow.cpu),
    ]


def _run(repo: str) -> Record:
    listing = histories.listing(repo)
    value = os.path.basename(os.path.dirname(listing)) + os.path.basename(listing)
    done = subprocess.run(
        ["git", "rev-parse", "main"], cwd=repo, capture_output=True, text=True, check=True
    )
    tags = {
        "mlflow.source.git.commit": done.stdout.strip(), "git.dirty": "false",
        "dvc.manifest": json.dumps({repositories.FOLDER_OUTPUT: value}),
    }  # fmt: skip
    return Record("0" * 32, "run", "0", "FINISHED", 0, 0, {}, {}, tags)


def _link(repo: str, to: str, *, read: bool = False) -> None:
    """Link the directory's files, each looked at first, or read: less cannot be done."""
    os.makedirs(to)
    cache = os.path.join(repo, ".dvc", "cache", "files", "md5")
    with open(histories.listing(repo), encoding="utf-8") as file:
        rows = json.load(file)
    for row in rows:
        source = f"{cache}/{row['md5'][:2]}/{row['md5'][2:]}"
        if read:
            with open(source, "rb", buffering=0) as file:
                data = file.read()
            if hashlib.md5(data, usedforsecurity=False).hexdigest() != row["md5"]:
                raise SystemExit(f"{source} is damaged")
        else:
            os.stat(source)
        os.link(source, f"{to}/{row['relpath']}")


def _dvc(repo: str, *args: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *args], cwd=repo, check=True)
