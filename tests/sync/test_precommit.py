"""No commit records a hash that is not the data's: the real hook in real commits."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Dvc, Git

HOOK = '#!/bin/sh\nexec "{python}" -m mlflow_dvc_plugin.hook pre-commit "$@"\n'


@pytest.fixture
def checked(repo: Path, dvc: Dvc) -> Path:
    """Return a clean project whose commits are checked."""
    dvc("checkout", "--quiet")
    script = repo / ".git/hooks/pre-commit"
    script.parent.mkdir(exist_ok=True)
    script.write_text(HOOK.format(python=sys.executable))
    script.chmod(0o755)
    return repo


def commit(*args: str) -> tuple[int, str]:
    """Run `git commit`; return its exit code and what the hook says."""
    done = subprocess.run(
        ["git", "commit", "-q", "-m", "x", *args], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


def change_code(repo: Path, git: Git) -> None:
    (repo / "train.py").write_text("print()\n")
    git("add", "train.py")


def test_a_commit_of_code_beside_clean_data_is_made(checked: Path, git: Git) -> None:
    change_code(checked, git)
    assert commit() == (0, "")


@pytest.mark.parametrize("args", [(), ("-a",), ("train.py",), ("-o", "train.py"), ("--amend",)])
def test_changed_data_blocks_every_kind_of_commit(
    checked: Path, git: Git, args: tuple[str, ...]
) -> None:
    change_code(checked, git)
    (checked / "data/train.csv").write_text("new\n")
    code, said = commit(*args)
    assert code == 1
    assert said == (
        "mlflow-dvc: data/train.csv differs from data/train.csv.dvc; run: "
        "dvc add data/train.csv && git add data/train.csv.dvc\n"
    )


def test_what_the_message_says_mends_it(checked: Path, git: Git, dvc: Dvc) -> None:
    (checked / "data/images/cat.png").write_text("new\n")
    assert commit("--allow-empty")[0] == 1
    dvc("add", "--quiet", "data/images")
    code, said = commit("--allow-empty")
    assert (code, "git add data/images.dvc" in said) == (1, True)
    git("add", "data/images.dvc")
    assert commit() == (0, "")


def test_only_the_index_of_this_commit_counts(checked: Path, git: Git, dvc: Dvc) -> None:
    (checked / "data/train.csv").write_text("new\n")
    dvc("add", "--quiet", "data/train.csv")
    change_code(checked, git)
    assert commit("train.py")[0] == 1
    assert commit("-a") == (0, "")


def test_missing_data_does_not_block(checked: Path, git: Git) -> None:
    shutil.rmtree(checked / "data/images")
    change_code(checked, git)
    assert commit() == (0, "")


def test_data_that_is_behind_is_named_and_does_not_block(checked: Path, git: Git, dvc: Dvc) -> None:
    old = (checked / "data/train.csv").read_bytes()
    (checked / "data/train.csv").write_text("new\n")
    dvc("add", "--quiet", "data/train.csv")
    assert commit("-a") == (0, "")
    (checked / "data/train.csv").unlink()
    (checked / "data/train.csv").write_bytes(old)
    change_code(checked, git)
    code, said = commit()
    assert code == 0
    assert "data/train.csv is behind" in said and "dvc pull data/train.csv" in said


def test_data_can_only_warn(checked: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DVC_DRIFT", "warn")
    (checked / "data/train.csv").write_text("new\n")
    code, said = commit("--allow-empty")
    assert code == 0 and "differs" in said


def test_fix_records_changed_data_and_stages_it(
    checked: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DVC_FIX", "true")
    (checked / "data/train.csv").write_text("new\n")
    code, said = commit("--allow-empty")
    assert code == 0, said
    assert "recorded data/train.csv in data/train.csv.dvc" in said
    assert git("show", "--format=", "--name-only", "HEAD") == "data/train.csv.dvc"
    assert git("status", "--porcelain") == ""


def test_fix_does_not_touch_an_index_that_git_is_using(
    checked: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DVC_FIX", "true")
    (checked / "data/train.csv").write_text("new\n")
    change_code(checked, git)
    code, said = commit("-a")
    assert code == 1
    assert "git add data/train.csv.dvc, then commit again" in said


@pytest.mark.parametrize("content", ["outs:\n<<<<<<< HEAD\n", "outs: [\n", ""])
def test_broken_metadata_blocks(checked: Path, git: Git, content: str) -> None:
    (checked / "data/train.csv.dvc").write_text(content)
    git("add", "data/train.csv.dvc")
    code, said = commit()
    assert code == 1 and "data/train.csv.dvc cannot be read" in said


def test_a_hash_that_nobody_has_blocks(checked: Path, git: Git) -> None:
    (checked / "data/other.csv.dvc").write_text(
        f"outs:\n- md5: {'a' * 32}\n  size: 3\n  hash: md5\n  path: other.csv\n"
    )
    git("add", "data/other.csv.dvc")
    code, said = commit()
    assert code == 1 and "names data that is in no cache: data/other.csv" in said


def test_data_of_dvcs_that_enters_git_blocks(checked: Path, git: Git) -> None:
    git("add", "--force", "data/train.csv", "data/images/cat.png")
    code, said = commit()
    assert code == 1
    assert "git rm --cached data/train.csv" in said
    assert "data/images/cat.png is tracked by DVC" in said


def test_a_large_file_that_enters_git_blocks(
    checked: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DVC_MAX_FILE_SIZE", "0.1")
    (checked / "big.csv").write_bytes(b"x" * 200_000)
    git("add", "big.csv")
    code, said = commit()
    assert code == 1 and "big.csv has 0.2 MB" in said
    git("rm", "-q", "--cached", "big.csv")
    assert commit("--allow-empty") == (0, "")


def test_a_changed_stage_output_is_never_recorded(
    checked: Path, git: Git, dvc: Dvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = "stages:\n  s:\n    cmd: echo 1 > out.txt\n    outs: [out.txt]\n"
    (checked / "dvc.yaml").write_text(stage)
    dvc("repro", "--quiet")
    git("add", ".")
    assert commit() == (0, "")
    (checked / "out.txt").unlink()
    (checked / "out.txt").write_text("2\n")
    monkeypatch.setenv("MLFLOW_DVC_FIX", "true")
    lock = (checked / "dvc.lock").read_text()
    code, said = commit("--allow-empty")
    assert code == 1 and "dvc repro dvc.yaml:s" in said
    assert (checked / "dvc.lock").read_text() == lock


def test_the_first_commit_of_a_repository(checked: Path) -> None:
    shutil.rmtree(checked / ".git/refs/heads")
    (checked / ".git/refs/heads").mkdir()
    assert commit() == (0, "")
