"""Several DVC repositories in one Git repository, and data in another repository than the code."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from conftest import Dvc, Git
from providing import DIRTY, as_script, code_of, tags, warnings_in


@pytest.fixture
def two_dvc(git: Git, dvc: Dvc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a Git repository with the DVC repositories `a` and `b`, none at its top; go there."""
    folder = tmp_path / "two"
    git("init", "-q", str(folder))
    for name in ("a", "b"):
        (folder / name).mkdir()
        dvc("init", "--quiet", "--subdir", cwd=folder / name)
        (folder / name / f"{name}.csv").write_text(name)
        dvc("add", "--quiet", f"{name}.csv", cwd=folder / name)
    git("add", "--all", cwd=folder)
    git("commit", "-q", "--message", "two", cwd=folder)
    monkeypatch.chdir(folder)
    return folder


def test_of_several_dvc_repositories_the_one_around_the_working_directory_counts(
    two_dvc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (two_dvc / name / "deeper").mkdir()
        monkeypatch.chdir(two_dvc / name / "deeper")
        found = tags()
        assert json.loads(found["dvc.manifest"]).keys() == {f"{name}/{name}.csv"}
        assert "dvc.rev" not in found


def test_in_none_of_several_dvc_repositories_none_is_guessed_and_one_warning_says_so(
    two_dvc: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found = tags()
    assert found[DIRTY] == "false"
    assert {key for key in found if key.startswith("dvc.")} == {"dvc.schema", "dvc.source"}
    (warning,) = warnings_in(caplog)
    (variable,) = re.findall(r"export (\w+=\S+)", warning)
    monkeypatch.setenv(*variable.split("="))
    assert "dvc.hash" in tags()


def test_the_only_nested_dvc_repository_is_the_one(
    two_dvc: Path, git: Git, caplog: pytest.LogCaptureFixture
) -> None:
    git("rm", "-rq", "b")
    shutil.rmtree("b", ignore_errors=True)
    git("commit", "-q", "--message", "only a")
    assert json.loads(tags()["dvc.manifest"]).keys() == {"a/a.csv"}
    assert warnings_in(caplog) == []


def test_a_dvc_repository_inside_another_keeps_its_data_to_itself(
    repo: Path, dvc: Dvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    outer = json.loads(tags()["dvc.manifest"])
    (repo / "sub").mkdir()
    dvc("init", "--quiet", "--subdir", cwd=repo / "sub")
    (repo / "sub/x.csv").write_text("x\n")
    dvc("add", "--quiet", "x.csv", cwd=repo / "sub")
    assert json.loads(tags()["dvc.manifest"]) == outer
    monkeypatch.chdir(repo / "sub")
    assert json.loads(tags()["dvc.manifest"]).keys() == {"sub/x.csv"}


def test_data_in_another_git_repository_than_the_code_has_its_own_commit(
    repo: Path, git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = tmp_path / "code"
    git("init", "-q", str(code))
    (code / "main.py").write_text("pass\n")
    git("add", "--all", cwd=code)
    git("commit", "-q", "--message", "code", cwd=code)
    as_script(monkeypatch, code / "main.py")
    (repo / "train.py").write_text("changed, but not the code of this run\n")
    found = tags()
    assert code_of(found) == (git("rev-parse", "HEAD", cwd=code), "main", "false")
    assert found["dvc.rev"] == git("rev-parse", "HEAD", cwd=repo)
    assert found["dvc.status"] == "clean" and "data/train.csv" in found["dvc.manifest"]


def test_data_in_the_same_repository_has_no_commit_of_its_own(repo: Path) -> None:
    assert "dvc.rev" not in tags()
