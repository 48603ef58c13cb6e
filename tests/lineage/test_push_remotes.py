"""One remote that fails keeps nothing from the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Dvc, Git
from services import free_port

from lineage.making import made
from lineage.verifying import object_in
from mlflow_dvc_plugin.cli import main
from mlflow_dvc_plugin.lineage.record import Record

_FAR = {
    "a file": {"url": "../no-folder/at-all"},
    "no server": {"url": "s3://bucket/dvc", "access_key_id": "me", "secret_access_key": "me"},
}


@pytest.fixture(params=_FAR)
def run(  # noqa: PLR0917
    request: pytest.FixtureRequest, repo: Path, origin: Path, dvc: Dvc, git: Git,
    tracking_sqlite: str,
) -> Record:  # fmt: skip
    """Make a dirty run, one of whose inputs lies on a remote `far` that does not work."""
    (repo.parent / "no-folder").write_text("")
    settings = dict(_FAR[request.param])
    if "access_key_id" in settings:
        settings["endpointurl"] = f"http://127.0.0.1:{free_port()}"
    dvc("remote", "add", "-q", "far", settings.pop("url"))
    for name, value in settings.items():
        dvc("remote", "modify", "-q", "far", name, value)
    file = repo / "data/images.dvc"
    file.write_text(file.read_text() + "  remote: far\n")
    git("commit", "-qam", "far")
    for one in (repo.parent / "remote").rglob("*"):
        if one.is_file():
            one.unlink()
    (repo / "train.py").write_text("dirty\n")
    return made()


def test_the_others_take_theirs_and_the_one_is_named(
    run: Record, repo: Path, origin: Path, git: Git, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["push", run.run_id]) == 1
    out, err = capsys.readouterr()
    assert object_in(repo.parent / "remote", run.tags["dvc.data.train.csv"]).exists()
    assert f"refs/mlflow-dvc/snapshots/{run.snapshot}" in git("for-each-ref", cwd=origin)
    assert f"pushed {run.snapshot} to origin" in out and "DVC remote local" in out
    assert "not shared: DVC remote 'far'" in err and "hint: is the address right" in err
    assert run.run_id[:8] in err and "far" not in out


def test_json_names_the_remote_the_reason_and_the_runs(
    run: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["push", run.run_id, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["code"] == [run.snapshot] and found["data"] == {"local": 1}
    (failed,) = found["failed"]
    assert failed["remote"] == "DVC remote 'far'" and failed["reason"] and failed["hint"]
    assert failed["runs"] == [run.run_id]
    assert found["problems"] == []


def test_a_git_remote_that_is_gone_keeps_no_data_back(
    repo: Path, origin: Path, git: Git, tracking_sqlite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (repo / "train.py").write_text("dirty\n")
    run = made()
    object_in(repo.parent / "remote", run.tags["dvc.data.train.csv"]).unlink()
    git("remote", "set-url", "origin", str(repo.parent / "gone.git"))
    capsys.readouterr()
    assert main(["push", run.run_id, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["data"] == {"local": 1} and found["code"] == []
    (failed,) = found["failed"]
    assert failed["remote"] == "Git remote 'origin'" and failed["hint"] == "git remote -v"


def test_a_repository_whose_settings_are_broken_keeps_no_code_back(
    repo: Path, origin: Path, git: Git, tracking_sqlite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (repo / "train.py").write_text("dirty\n")
    run = made()
    (repo / ".dvc/config.local").write_text("[core\n")
    assert main(["push", run.run_id]) == 1
    err = capsys.readouterr().err
    assert f"not shared: the DVC repository {repo}: DVC's configuration cannot be read" in err
    assert f"refs/mlflow-dvc/snapshots/{run.snapshot}" in git("for-each-ref", cwd=origin)
