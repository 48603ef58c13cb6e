"""A dirty run comes back in a clone that has nothing: real snapshot, real push, empty cache."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import snapshotkinds
from conftest import Dvc, Git
from inprocess import mlflow_dvc
from snapshotting import NOT_KEPT, files_in, make_dirty

from lineage.making import made

Kind = Callable[[Path, Git], None]


def ask(*args: str, cwd: Path | None = None, codes: tuple[int, ...] = (0,)) -> Any:
    """Run a verb with `--json`; return what it prints."""
    code, out, err = mlflow_dvc(*args, "--json", cwd=cwd)
    assert code in codes, out + err
    return json.loads(out)


def plain(repo: Path, git: Git) -> None:
    """No filters."""


def clean_filter(repo: Path, git: Git) -> None:
    snapshotkinds.filtered(repo, git)


def with_lfs(repo: Path, git: Git) -> None:
    snapshotkinds.lfs(repo, git)


def stranger(upstream: Path, git: Git, folder: Path, kind: Kind) -> Path:
    """Clone as somebody else does, who sets up the same filters, and has no DVC cache."""
    git("clone", "-q", "--no-checkout", upstream.as_uri(), str(folder))
    if kind is clean_filter:
        for name, value in (("clean", "tr a-z A-Z"), ("smudge", "tr A-Z a-z")):
            git("config", f"filter.upper.{name}", value, cwd=folder)
    if kind is with_lfs:
        git("lfs", "install", "--local", cwd=folder)
    git("checkout", "-q", "main", cwd=folder)
    return folder


def verdict_of(run_id: str, cwd: Path | None = None) -> str:
    (one,) = ask("verify", run_id, cwd=cwd, codes=(0, 1, 2))["runs"]
    return str(one["verdict"])


@pytest.mark.parametrize("kind", [plain, clean_filter, with_lfs])
def test_a_dirty_run_is_shared_and_brought_back(  # noqa: PLR0917
    repo: Path, git: Git, dvc: Dvc, tracking_sqlite: str, tmp_path: Path, kind: Kind
) -> None:
    kind(repo, git)
    make_dirty(repo, git)
    upstream = tmp_path / "up.git"
    git("init", "-q", "--bare", str(upstream))
    git("remote", "add", "origin", upstream.as_uri())
    git("push", "-q", "origin", "main~1:refs/heads/main")  # the run's own commit is not there
    (repo / "data/train.csv").write_text("x,y\n7,8\n")
    dvc("add", "--quiet", "data/train.csv")
    wanted = {name: what for name, what in files_in(repo).items() if name not in NOT_KEPT}
    run = made()
    assert verdict_of(run.run_id) == "only here"
    pushed = ask("push", run.run_id)
    assert pushed["code"] == [run.snapshot] and pushed["problems"] == []
    assert verdict_of(run.run_id) == "reproducible"
    git("push", "-q", "origin", f"{run.commit}:refs/heads/main")
    shutil.rmtree(repo / ".dvc/cache")
    if kind is with_lfs:
        shutil.rmtree(repo / ".git/lfs/objects")

    clone = stranger(upstream, git, tmp_path / "clone", kind)
    assert verdict_of(run.run_id, clone) == "reproducible"
    shown = ask("show", run.run_id, cwd=clone)
    assert shown["run_id"] == run.run_id
    ask("restore", run.run_id, "--to", str(tmp_path / "back"), cwd=clone)
    assert files_in(tmp_path / "back") == wanted
    assert (tmp_path / "back/data/train.csv").read_text() == "x,y\n7,8\n"
    assert git("status", "--porcelain", cwd=tmp_path / "back") == ""
    (hit,) = ask("runs", str(run.commit), cwd=clone)["runs"]
    assert (hit["run_id"], hit["how"]) == (run.run_id, "started")
    assert ask("diff", run.run_id, cwd=tmp_path / "back")["code"]["files"] == []
