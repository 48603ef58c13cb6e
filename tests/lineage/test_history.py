"""Every version of a data set is found, wherever and however the history states it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from conftest import Dvc, Git

from lineage.making import answered, made
from mlflow_dvc_plugin.lineage import history
from mlflow_dvc_plugin.lineage.history import stated_versions
from mlflow_dvc_plugin.lineage.revision import Revisions


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def hashes(repo: Path, path: str) -> list[str | None]:
    return [out.hash for out, _, _, _ in stated_versions(str(repo), path)]


def add(repo: Path, dvc: Dvc, text: str, *args: str) -> None:
    (repo / "data/train.csv").write_text(text)
    dvc("add", "--quiet", *args, "data/train.csv")


def test_a_version_that_only_a_merge_has(repo: Path, git: Git, dvc: Dvc) -> None:
    git("checkout", "-qb", "side")
    add(repo, dvc, "side\n")
    git("commit", "-qam", "side")
    git("checkout", "-q", "main")
    (repo / "code.py").write_text("")
    git("add", "code.py")
    git("commit", "-qm", "main")
    git("merge", "-q", "--no-commit", "side")
    add(repo, dvc, "merged\n")
    git("commit", "-qam", "merged")
    assert set(hashes(repo, "data/train.csv")) >= {md5("merged\n"), md5("side\n")}


def test_a_person_s_settings_of_git_log_change_nothing(repo: Path, git: Git, dvc: Dvc) -> None:
    add(repo, dvc, "two\n")
    git("commit", "-qam", "two")
    before = hashes(repo, "data/train.csv")
    assert before == [md5("two\n"), md5("x,y\n1,2\n3,4\n")]
    for setting in ("showSignature=true", "showRoot=false", "follow=true", "diffMerges=off"):
        git("config", *f"log.{setting}".split("="))
    git("config", "color.ui", "always")
    assert hashes(repo, "data/train.csv") == before


def test_an_output_of_a_stage_in_a_subfolder(repo: Path, git: Git, dvc: Dvc) -> None:
    (repo / "sub/work").mkdir(parents=True)
    (repo / "sub/dvc.yaml").write_text(
        "stages:\n  one:\n    wdir: work\n    cmd: echo 1 > out.txt\n    outs: [out.txt]\n"
    )
    dvc("repro", "--quiet", "sub/dvc.yaml")
    git("add", "-A")
    git("commit", "-qm", "stage")
    assert hashes(repo, "sub/work/out.txt") == [md5("1\n")]


def test_names_that_yaml_escapes_and_metadata_files_of_another_name(
    repo: Path, git: Git, dvc: Dvc
) -> None:
    (repo / "data/ü.csv").write_text("u")
    dvc("add", "--quiet", "data/ü.csv")
    (repo / "data/plain.dvc").write_text(
        (repo / "data/ü.csv.dvc").read_text().replace("ü", '"\\xfc"').replace('"".csv', '.csv"')
    )
    (repo / "data/ü.csv.dvc").unlink()
    text = (repo / "data/plain.dvc").read_text().replace('path: "\\xfc".csv', 'path: "\\xfc.csv"')
    (repo / "data/plain.dvc").write_text(text)
    git("add", "-A")
    git("commit", "-qm", "escaped")
    assert hashes(repo, "data/ü.csv") == [md5("u")]


@pytest.mark.parametrize("many", [0, 2000])
def test_no_commit_is_passed_over(
    versions: Path, series: Path, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "_MANY", many)
    every = {
        out.hash
        for rev in _all(series)
        for out in [Revisions(str(series)).at(rev).outputs.get("data/train.csv")]
        if out
    }
    assert len(every) == 7 and set(hashes(series, "data/train.csv")) == every


def _all(repo: Path) -> list[str]:
    import subprocess

    done = subprocess.run(
        ["git", "rev-list", "--all"], cwd=repo, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_a_path_is_relative_to_the_folder_one_is_in(
    repo: Path, tracking_sqlite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made()
    monkeypatch.chdir(repo / "data")
    for text in ("train.csv", "./train.csv", "../data/train.csv@main", "images", "images/cat.png"):
        (hit,) = answered(text).hits
        assert hit.run.run_id == run.run_id


def test_in_a_shallow_clone_the_versions_are_incomplete(
    repo: Path, git: Git, tracking_sqlite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made()
    git("commit", "-q", "--allow-empty", "-m", "more")
    git("clone", "-q", "--depth=1", repo.as_uri(), str(tmp_path / "shallow"))
    monkeypatch.chdir(tmp_path / "shallow")
    answer = answered("data/train.csv")
    assert [hit.run.run_id for hit in answer.hits] == [run.run_id]
    assert list(answer.gaps) == ["history"]
