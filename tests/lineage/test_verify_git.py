"""Where a run's commit is: asked of the Git remotes, which may have changed or be silent."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Git
from snapshotting import git_state

from lineage.making import made
from lineage.verifying import Verify
from mlflow_dvc_plugin.lineage.origin import foreign
from mlflow_dvc_plugin.lineage.store import open_client


@pytest.fixture
def run_id(repo: Path, origin: Path, git: Git, tracking_sqlite: str) -> str:
    """Return a run of a commit that only the branch `work` has, and that was pushed."""
    git("checkout", "-q", "-b", "work")
    (repo / "more.py").write_text("more = 1\n")
    git("add", "more.py")
    git("commit", "-qm", "more")
    git("push", "-q", "-u", "origin", "work")
    return made().run_id


def test_a_commit_that_was_rebased_away_is_looked_for_everywhere(
    repo: Path, origin: Path, run_id: str, verify: Verify, git: Git
) -> None:
    assert verify(run_id) == (0, "reproducible", "")
    git("commit", "-q", "--amend", "-m", "other")
    git("push", "-q", "--force", "origin", "work")
    assert verify(run_id) == (0, "only here", "it is on no Git remote")
    git("reflog", "expire", "--expire=now", "--all")
    git("gc", "-q", "--prune=now")
    assert verify(run_id) == (0, "reproducible", "")  # the remote still gives it out
    git("gc", "-q", "--prune=now", cwd=origin)
    assert verify(run_id) == (1, "broken", "it is neither here nor on a Git remote")


def test_what_the_last_fetch_saw_is_not_believed(
    repo: Path, origin: Path, run_id: str, verify: Verify, git: Git
) -> None:
    git("push", "-q", "origin", ":work", cwd=repo)
    git("update-ref", "refs/remotes/origin/work", "HEAD")
    assert verify(run_id) == (0, "only here", "it is on no Git remote")
    git("clone", "-q", str(origin), "../colleague")
    git("commit", "-q", "--allow-empty", "-m", "new", cwd=repo.parent / "colleague")
    git("push", "-q", "origin", "main", cwd=repo.parent / "colleague")
    # The remote's branch is not known here: it could have the commit, and is asked.
    git("gc", "-q", "--prune=now", cwd=origin)
    assert verify(run_id) == (0, "only here", "it is on no Git remote")
    git("push", "-q", "origin", "work~0:refs/pull/1/head")
    assert verify(run_id) == (0, "reproducible", "")


def test_a_remote_that_does_not_answer_makes_it_unknown(
    repo: Path, origin: Path, run_id: str, verify: Verify, git: Git
) -> None:
    git("remote", "set-url", "origin", str(origin.parent / "moved.git"))
    code, verdict, why = verify(run_id)
    assert (code, verdict) == (2, "unknown") and "'origin' does not answer" in why
    git("remote", "set-url", "origin", "http://127.0.0.1:1/team/repo.git")
    assert verify(run_id)[:2] == (2, "unknown")
    git("remote", "add", "backup", str(origin))
    assert verify(run_id) == (0, "reproducible", "")


def test_a_shallow_clone_asks_for_what_it_has_not_got(
    origin: Path, run_id: str, verify: Verify, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("commit", "-q", "--allow-empty", "-m", "later")
    git("push", "-q", "origin", "work")
    shallow = origin.parent / "shallow"
    git("clone", "-q", "--depth=1", "--branch=work", origin.as_uri(), str(shallow))
    monkeypatch.chdir(shallow)
    before = git_state(shallow, git)
    code, verdict, why = verify(run_id)
    # The commit is on the remote; where its data is kept stands in it, and it is not here.
    assert (code, verdict) == (0, "reproducible"), why
    assert git_state(shallow, git) == before


def test_the_run_of_another_repository_is_not_called_broken(
    repo: Path, origin: Path, run_id: str, verify: Verify, git: Git
) -> None:
    client = open_client()
    client.set_tag(run_id, "mlflow.source.git.commit", "1" * 40)
    client.set_tag(run_id, "dvc.manifest", f'{{"a":"{"2" * 32}"}}')
    assert verify(run_id)[:2] == (1, "broken")
    client.set_tag(run_id, "mlflow.source.git.repoURL", "https://host/team/other")
    code, verdict, why = verify(run_id)
    assert (code, verdict) == (2, "unknown")
    assert "made in another repository, https://host/team/other" in why
    git("remote", "add", "upstream", "git@HOST:team/other.git")
    assert verify(run_id)[1] in ("broken", "unknown")


@pytest.mark.parametrize("ours", [
    "git@host:team/repo.git", "https://host/team/repo/", "ssh://git@host:22/team/repo.git",
    "https://user:secret@host/team/repo.git",
])  # fmt: skip
def test_urls_of_one_repository_are_equal(ours: str, run_id: str) -> None:
    client = open_client()
    client.set_tag(run_id, "mlflow.source.git.repoURL", "https://host/team/repo.git")
    from mlflow_dvc_plugin.lineage.resolve import find

    run = find(client, run_id)
    assert foreign(run, [ours]) is None
    assert foreign(run, ["https://host/team/repos", "/host/team/repo"]) is not None


def test_a_store_that_goes_away_leaves_everything_unknown(
    repo: Path, origin: Path, run_id: str, verify: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, verdict, why = verify("0" * 32)
    assert (code, verdict) == (2, "error") and "there is no run" in why
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    import mlflow

    mlflow.set_tracking_uri(None)
    code, verdict, why = verify("--all")
    assert (code, verdict) == (2, "error") and "cannot be used" in why and "hint: " in why
