"""`--data-repo` names the repository of the data, for every verb that looks at data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import mlflow
import pytest
from conftest import Dvc, Git
from lineage.making import made

from mlflow_dvc_plugin.cli import VERBS, cli

from .conftest import Command

LOOKING = ("backfill", "diff", "push", "restore", "runs", "show", "verify")


@pytest.fixture
def run(
    repo: Path, git: Git, tracking_sqlite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Make a run of code in one repository and data in another, and go to the code's."""
    code = tmp_path / "code"
    for folder in (code, repo):
        remote = tmp_path / f"{folder.name}.git"
        git("init", "-q", "--bare", str(remote))
        git("init", "-q", str(folder))
        git("remote", "add", "origin", str(remote), cwd=folder)
    (code / "train.py").write_text("code\n")
    git("add", "-A", cwd=code)
    git("commit", "-qm", "code", cwd=code)
    tags = {key: value for key, value in made("data").tags.items() if key.startswith("dvc.")}
    monkeypatch.chdir(code)
    made_run = made("apart").run_id
    for key, value in {**tags, "dvc.rev": git("rev-parse", "HEAD", cwd=repo)}.items():
        mlflow.MlflowClient().set_tag(made_run, key, value)
    for folder in (code, repo):
        git("push", "-q", "origin", "main", cwd=folder)
    return made_run


def test_every_verb_that_looks_at_data_has_it() -> None:
    having = set()
    for verb in VERBS:
        command = cli.get_command(None, verb)  # type: ignore[arg-type]
        assert command is not None
        if any(option.name == "data_repo" for option in command.params):
            having.add(verb)
    assert having == set(LOOKING)


def test_verify_and_show_look_there(run: str, repo: Path, command: Command) -> None:
    done = command("verify", run)
    assert done.code == 2 and "hint: name that repository: --data-repo DIR" in done.err
    done = command("verify", run, "--data-repo", str(repo), "--require", "reproducible")
    assert done.code == 0, done
    done = command("show", run, "--data-repo", str(repo / "data"), "--json")
    assert json.loads(done.out)["verdict"] == "reproducible"


def test_push_looks_there(run: str, repo: Path, command: Command) -> None:
    shutil.rmtree(repo.parent / "remote")
    done = command("push", run)
    assert done.code == 1 and "--data-repo DIR, or export MLFLOW_DVC_REPO" in done.err
    done = command("push", run, "--data-repo", str(repo))
    assert done.code == 0 and "5 objects uploaded to DVC remote local" in done.out, done


def test_diff_looks_there(run: str, repo: Path, command: Command) -> None:
    done = command("diff", run, "--exit-code", "--data-repo", str(repo))
    assert done.code == 0, done
    (repo / "data/train.csv").write_text("other\n")
    done = command("diff", run, "--only", "data", "--data-repo", str(repo), "--json")
    found = json.loads(done.out)["data"]
    assert [one["path"] for one in found["outputs"]] == ["data/train.csv"]


def test_runs_takes_paths_there_and_commits_here(
    run: str, repo: Path, git: Git, command: Command
) -> None:
    def found(*args: str) -> list[str]:
        done = command("runs", *args, "--data-repo", str(repo), "--json")
        return [one["name"] for one in json.loads(done.out)["runs"]]

    assert found("HEAD") == found("main") == ["apart"]
    for text in ("data/train.csv", "data/images@main", "data/images/cat.png", "178ba857"):
        assert sorted(found(text)) == ["apart", "data"], text
    done = command("runs", "data/images", "--data-repo", str(repo))
    assert done.out.splitlines()[-1].split()[-2:] == ["now", "2"]
    assert "no commit here" in command("runs", "data/train.csv").out


def test_backfill_takes_the_one_of_several_that_it_names(
    repo: Path, git: Git, dvc: Dvc, tracking_sqlite: str, command: Command
) -> None:
    for name in ("a", "b"):
        (repo / name).mkdir()
        dvc("init", "-q", "--subdir", cwd=repo / name)
        (repo / name / "x.csv").write_text(name)
        dvc("add", "-q", "x.csv", cwd=repo / name)
    git("rm", "-rqf", ".dvc", "data", ".dvcignore")
    git("add", "-A")
    git("commit", "-qm", "two")
    tags = {"mlflow.source.git.commit": git("rev-parse", "HEAD")}
    old = mlflow.MlflowClient().create_run("0", tags=tags).info.run_id
    done = command("backfill", "--apply")
    assert done.code == 1 and "hint: mlflow-dvc backfill --data-repo <the folder" in done.err
    assert command("backfill", "--apply", "--data-repo", "b").code == 0
    assert "dvc.b.x.csv" in mlflow.get_run(old).data.tags


@pytest.mark.parametrize("verb", LOOKING)
def test_a_folder_without_data_is_an_error(run: str, verb: str, command: Command) -> None:
    words = {"backfill": [], "runs": ["HEAD"]}.get(verb, [run])
    done = command(verb, *words, "--data-repo", "/")
    assert done.code in (1, 2) and done.out == "", done
    assert "error:" in done.err and "hint: " in done.err and "--data-repo" in done.err
