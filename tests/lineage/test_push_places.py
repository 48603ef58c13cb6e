"""Push where code and data lie in two repositories, and what it takes a remote to have."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest
from conftest import Git

from lineage.making import made
from lineage.verifying import object_in
from mlflow_dvc_plugin.cli import main


@pytest.fixture
def remotes(apart: Path, repo: Path, git: Git) -> list[Path]:
    """Return the Git remotes of code and data, both empty."""
    found = []
    for folder in (apart, repo):
        found.append(repo.parent / f"{folder.name}.git")
        git("init", "-q", "--bare", str(found[-1]))
        git("remote", "add", "origin", str(found[-1]), cwd=folder)
    return found


def test_code_and_data_of_two_repositories_are_both_shared(  # noqa: PLR0917
    apart: Path, repo: Path, remotes: list[Path], tracking_sqlite: str, git: Git,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run = made()
    rev = git("rev-parse", "HEAD", cwd=repo)
    with monkeypatch.context() as patch:
        patch.chdir(repo)
        data = {key: value for key, value in made().tags.items() if key.startswith("dvc.")}
    for key, value in {**data, "dvc.rev": rev}.items():
        mlflow.MlflowClient().set_tag(run.run_id, key, value)
    assert main(["push", run.run_id]) == 1
    assert "its data is in another repository: --data-repo DIR, or" in capsys.readouterr().err
    monkeypatch.setenv("MLFLOW_DVC_REPO", str(repo))
    assert main(["push", run.run_id]) == 0, capsys.readouterr()
    for remote, commit in zip(remotes, (run.commit, rev), strict=True):
        assert f"refs/mlflow-dvc/snapshots/{commit}" in git("for-each-ref", cwd=remote)
    assert object_in(repo.parent / "remote", data["dvc.data.train.csv"]).exists()


def test_what_a_remote_had_at_the_last_fetch_is_not_what_it_has(
    apart: Path, remotes: list[Path], tracking_sqlite: str, git: Git,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run = made()
    git("push", "-q", "origin", "main")
    git("update-ref", "-d", "refs/heads/main", cwd=remotes[0])
    assert main(["push", run.run_id]) == 0
    assert f"pushed {run.commit} to origin" in capsys.readouterr().out
    assert main(["push", "--remote", "nobody", run.run_id]) == 1
    assert "hint: git remote -v" in capsys.readouterr().err
