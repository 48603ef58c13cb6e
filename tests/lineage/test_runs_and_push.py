"""What `push` says and sends, and what `runs` says of the ordinary way of working."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Git

from lineage.making import answered, made
from lineage.test_round_trip import ask, verdict_of
from mlflow_dvc_plugin.gitdir import require_worktree
from mlflow_dvc_plugin.gitrepo import snapshot as repository
from mlflow_dvc_plugin.lineage.prune import prune
from mlflow_dvc_plugin.lineage.store import open_client


@pytest.fixture
def up(repo: Path, git: Git, tracking_sqlite: str, tmp_path: Path) -> Path:
    """Return the Git remote, which has the project's branch."""
    git("init", "-q", "--bare", str(tmp_path / "up.git"))
    git("remote", "add", "origin", (tmp_path / "up.git").as_uri())
    git("push", "-q", "origin", "main")
    return tmp_path / "up.git"


def test_a_branch_that_a_colleague_deleted_holds_nothing(repo: Path, git: Git, up: Path) -> None:
    git("commit", "-q", "--allow-empty", "-m", "topic")
    git("push", "-q", "origin", "HEAD:topic")
    git("update-ref", "-d", "refs/heads/topic", cwd=up)
    run = made()
    assert ask("push", run.run_id)["code"] == [run.commit]
    assert verdict_of(run.run_id) == "reproducible"


@pytest.mark.parametrize("setting", ["push.followTags", "remote.origin.mirror"])
def test_a_push_sends_nothing_else(repo: Path, git: Git, up: Path, setting: str) -> None:
    git("config", setting, "true")
    git("tag", "-a", "-m", "private", "private")
    (repo / "train.py").write_text("dirty\n")
    run = made()
    ask("push", run.run_id)
    there = git("for-each-ref", "--format=%(refname)", cwd=up).splitlines()
    assert there == ["refs/heads/main", f"refs/mlflow-dvc/snapshots/{run.snapshot}"]


def test_a_run_then_a_commit_is_exact(repo: Path, git: Git, tracking_sqlite: str) -> None:
    (repo / "train.py").write_text("better\n")
    (repo / "new.py").write_text("new\n")
    run = made()
    git("add", "-A")
    git("commit", "-qm", "better")
    (hit,) = answered("HEAD").hits
    assert (hit.run.run_id, hit.how, hit.match) == (run.run_id, "before", "exact")


def test_a_run_then_another_edit_is_no_match_and_says_why(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    (repo / "train.py").write_text("better\n")
    run = made()
    (repo / "train.py").write_text("best\n")
    git("commit", "-qam", "best")
    answer = answered("HEAD")
    assert list(answer.hits) == [] and f"run {run.run_id} was made" in answer.notes[0]
    assert "differs in train.py" in answer.notes[0]
    (hit,) = answered("HEAD~1").hits
    assert (hit.match, hit.differs) == ("differs", ("train.py",))


def test_a_text_that_no_snapshot_keeps_does_not_hide_the_run(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    (repo / "train.py").write_text("better\n")
    (repo / "README.md").write_text("notes\n")
    made()
    git("add", "-A")
    git("commit", "-qm", "better, and notes")
    (hit,) = answered("HEAD").hits
    assert hit.differs == ("README.md (new in the commit; a snapshot keeps no such file)",)


def test_a_run_whose_snapshot_lacks_a_file_is_found_and_unknown(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    (repo / "train.py").write_text("better\n")
    (repo / "large.json").write_text(json.dumps(" " * 1_000_001))
    made()
    (hit,) = answered("HEAD").hits
    assert hit.match == "unknown" and hit.differs[0] == "train.py"
    git("add", "-A")
    git("commit", "-qm", "better")
    (hit,) = answered("HEAD").hits
    assert hit.match == "unknown" and hit.differs[0] == "large.json (not in the run's snapshot)"


class _Busy:
    """A tracking store in which a run is started while somebody prunes."""

    def __init__(self) -> None:
        self._client = open_client()
        self._done = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._client, name)

    def search_runs(self, *args: object, **named: object) -> object:
        found = self._client.search_runs(*args, **named)
        if not self._done and found:  # the deleted run, after the active ones
            self._done = True
            made()
        return found


def test_a_run_that_starts_during_prune_keeps_its_snapshot(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    import mlflow

    (repo / "train.py").write_text("dirty\n")
    run = made()
    mlflow.delete_run(run.run_id)
    worktree = require_worktree(str(repo))
    done = prune(_Busy(), worktree, strangers=False, dry_run=False)
    assert (done.dropped, done.used) == ((), (run.snapshot,))
    assert repository.kept(worktree.common_dir) == [run.snapshot]
