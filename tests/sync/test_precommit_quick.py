"""A commit beside unchanged data is not checked anew, and whatever matters is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Dvc, Git
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

HOOK = """
import sys
from mlflow_dvc_plugin.hook import main
code = main(["pre-commit"])
print(code, "mlflow_dvc_plugin.sync.precommit" in sys.modules)
"""


def hook(folder: Path, **env: str) -> tuple[int, bool]:
    """Run the hook; return its exit code, and whether it looked at everything."""
    done = subprocess.run(
        [sys.executable, "-c", HOOK], cwd=folder, capture_output=True, text=True, check=True,
        env={**os.environ, **env},
    )  # fmt: skip
    code, full = done.stdout.split()
    return int(code), full == "True"


@pytest.fixture
def known(repo: Path, git: Git) -> Path:
    """Return a project in which a check has found everything clean."""
    settle(repo)
    assert hook(repo) == (0, False)
    return repo


def settle(folder: Path) -> None:
    """Let the data be old enough to be remembered, and a check remember it."""
    time.sleep(0.05)
    hook(folder)


def stage(git: Git, folder: Path, name: str, content: bytes) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    git("add", "--force", "--", name, cwd=folder)


def test_code_that_enters_is_not_looked_at_closely(known: Path, git: Git) -> None:
    stage(git, known, "train.py", b"changed\n")
    stage(git, known, "new.py", b"new\n")
    git("rm", "-q", "--cached", ".dvcignore")
    git("reset", "-q", ".dvcignore")
    assert hook(known) == (0, False)
    git("commit", "-qm", "code")
    assert hook(known) == (0, False)


def edit(path: str) -> Callable[[Git, Path], None]:
    def change(git: Git, folder: Path) -> None:
        file = folder / path
        info = file.stat()
        content = file.read_bytes()
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        os.utime(file, ns=(info.st_atime_ns, info.st_mtime_ns))  # only ctime tells

    return change


def new_member(git: Git, folder: Path) -> None:
    (folder / "data/images/extra.png").write_text("extra")


def lost(git: Git, folder: Path) -> None:
    (folder / "data/images/cat.png").unlink()


def ignored(git: Git, folder: Path) -> None:
    (folder / "data/.dvcignore").write_text("*.tmp\n")


def staged(name: str, content: bytes) -> Callable[[Git, Path], None]:
    return lambda git, folder: stage(git, folder, name, content)


DRIFT = {
    "a byte of a file": edit("data/train.csv"),
    "a byte in a directory": edit("data/images/cat.png"),
    "one more in a directory": new_member,
    "one less in a directory": lost,
    "a file that is too large": staged("big.bin", b"x" * 10_000_001),
    "data that enters Git": staged("data/train.csv", b"x,y\n"),
    "data of a directory that enters Git": staged("data/images/cat.png", b"x"),
    "broken metadata": staged("other.dvc", b"outs: ["),
}


@pytest.mark.parametrize("name", DRIFT)
def test_what_the_check_would_find_is_found(known: Path, git: Git, name: str) -> None:
    DRIFT[name](git, known)
    assert hook(known) == (1, True)


def test_patterns_and_settings_that_change_let_it_look_again(known: Path, git: Git) -> None:
    assert hook(known, MLFLOW_DVC_MAX_FILE_SIZE="1") == (0, True)
    assert hook(known) == (0, True)  # another environment than at the last check
    assert hook(known) == (0, False)
    (known / "pyproject.toml").write_text("[tool.mlflow-dvc]\nmax_file_size = 1\n")
    assert hook(known) == (0, True)
    ignored(git, known)
    assert hook(known)[1]


def test_data_that_is_gone_and_comes_back_is_looked_at(known: Path, git: Git) -> None:
    shutil.move(known / "data/train.csv", known / "aside")
    assert hook(known) == (0, True)  # missing data is no drift
    assert hook(known) == (0, False)
    shutil.move(known / "aside", known / "data/train.csv")
    assert hook(known) == (0, True)


def test_the_index_of_this_commit_counts(known: Path, git: Git, dvc: Dvc) -> None:
    (known / "data/train.csv").write_text("other\n")
    dvc("add", "--quiet", "data/train.csv")
    git("commit", "-qam", "other")
    settle(known)
    assert hook(known) == (0, False)
    other = known / ".git/other-index"
    shutil.copyfile(known / ".git/index", other)
    env = {"GIT_INDEX_FILE": str(other)}
    subprocess.run(
        ["git", "reset", "-q", "HEAD~1", "--", "data/train.csv.dvc"], check=True,
        env={**os.environ, **env},
    )  # fmt: skip
    assert hook(known, **env)[1]
    assert hook(known) == (0, False)


def test_a_branch_without_a_commit_is_looked_at(known: Path, git: Git) -> None:
    git("checkout", "-q", "--orphan", "lonely")
    assert hook(known) == (0, True)


def git_in(*args: str) -> Callable[[Git, Path], None]:
    def change(git: Git, folder: Path) -> None:
        git(*args, cwd=folder)

    return change


STEPS = (
    *DRIFT.values(), ignored, git_in("add", "-A"), git_in("reset", "-q", "--hard"),
    git_in("commit", "-q", "--allow-empty", "-am", "x"),
)  # fmt: skip


@pytest.mark.slow
def test_it_never_says_clean_where_the_check_finds_something(
    repo: Path, git: Git, tmp_path: Path
) -> None:
    settle(repo)

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.sampled_from(range(len(STEPS))), min_size=1, max_size=4))
    def check(numbers: list[int]) -> None:
        folder = tmp_path / "again"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(repo, folder, symlinks=True)
        settle(folder)
        for number in numbers:
            try:
                STEPS[number](git, folder)
            except (FileNotFoundError, NotADirectoryError):
                continue
            quick = hook(folder)
            record = folder / ".git/mlflow-dvc/clean"
            if not quick[1]:
                record.unlink()
                assert hook(folder) == (quick[0], True)

    check()
