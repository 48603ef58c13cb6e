"""From a commit of a repository that holds data alone to the runs that used it."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Dvc, Git
from providing import as_script

from lineage.making import answered, made
from mlflow_dvc_plugin.lineage.record import Record


@pytest.fixture
def run(apart: Path, repo: Path, tracking_sqlite: str, monkeypatch: pytest.MonkeyPatch) -> Record:
    """A run of a script in one repository that was started in another, with its data."""
    as_script(monkeypatch, apart / "train.py")
    with monkeypatch.context() as patch:
        patch.chdir(repo)
        return made()


def found(text: str) -> list[tuple[str, str, str, tuple[str, ...], str | None]]:
    return [
        (hit.run.run_id, hit.how, hit.match, hit.differs, hit.commit) for hit in answered(text).hits
    ]


def test_the_runs_of_a_commit_of_data(
    run: Record, repo: Path, git: Git, dvc: Dvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    rev = git("rev-parse", "HEAD", cwd=repo)
    assert run.data_rev == rev
    assert found("HEAD") == [(run.run_id, "started", "exact", (), run.commit)]
    # Of the other repository all is known but what the commit states.
    away = (run.run_id, "data commit", "unknown", ("the commit is not here",), rev)
    assert found(rev) == found(rev[:12]) == [away]
    monkeypatch.chdir(repo)
    assert found("HEAD") == [(run.run_id, "data commit", "exact", (), rev)]
    (repo / "data/train.csv").write_text("other\n")
    dvc("add", "--quiet", "data/train.csv")
    git("commit", "-qam", "other data")
    assert found("HEAD") == []
    assert [one[0] for one in found("HEAD~1")] == [run.run_id]


def test_data_that_the_commit_does_not_state_is_said(
    run: Record, repo: Path, dvc: Dvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repo)
    (repo / "data/train.csv").write_text("not committed\n")
    dvc("add", "--quiet", "data/train.csv")
    other = made("other")
    (repo / "data/train.csv").write_text("not even added\n")
    third = made("third")
    hits = {one[0]: one[1:4] for one in found("HEAD")}
    differs = ("data commit", "differs", ("data/train.csv (the run used other data)",))
    exact = ("data commit", "exact", ())
    assert hits == {run.run_id: exact, other.run_id: differs, third.run_id: differs}
