"""After every Git operation the data is what the metadata on disk says: bytes compared."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import Dvc, Git
from versions import ONE, TWO, data_in, write_data

Prepare = Callable[[Git, Path], None]


def go(*commands: str) -> Callable[[Git], None]:
    def run(git: Git) -> None:
        for command in commands:
            git(*command.split())

    return run


OPERATIONS = {
    "checkout": (go("checkout -q two"), TWO),
    "switch": (go("switch -q two"), TWO),
    "detach": (go("checkout -q --detach two"), TWO),
    "there and back": (go("checkout -q two", "checkout -q main"), ONE),
    "new branch": (go("checkout -q -b new two"), TWO),
    "reset": (go("reset -q --hard two"), TWO),
    "reset back": (go("reset -q --hard two", "reset -q --hard HEAD~2"), ONE),
    "restore": (go("restore --source=two -- ."), TWO),
    "restore staged": (go("restore --source=two --staged --worktree -- ."), TWO),
    "paths": (go("checkout two -- ."), TWO),
    "merge": (go("merge -q --no-edit two"), TWO),
    "merge fast-forward": (go("checkout -q main~1", "merge -q --ff-only two"), TWO),
    "merge squash": (go("merge -q --squash two"), TWO),
    "merge aborted": (go("merge -q --no-commit --no-ff two", "merge --abort"), ONE),
    "rebase": (go("rebase -q two"), TWO),
    "rebase apply": (go("rebase -q --apply two"), TWO),
    "rebase interactive": (go("rebase -q -i two"), TWO),
    "rebase fast-forward": (go("checkout -q main~1", "rebase -q two"), TWO),
    "cherry-pick": (go("cherry-pick two~1"), TWO),
    "revert": (go("checkout -q two", "revert --no-edit HEAD~1"), ONE),
    "amend": (go("checkout -q two~1", "checkout main -- .", "commit -q --amend --no-edit"), ONE),
    "bisect": (go("bisect start two main~1"), TWO),
    "orphan": (go("checkout -q two", "checkout -q --orphan lonely"), TWO),
    "read-tree": (go("read-tree -u --reset two"), TWO),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_data_follows(versions: Path, git: Git, name: str) -> None:
    assert data_in(versions) == ONE
    operation, expected = OPERATIONS[name]
    operation(git)
    assert data_in(versions) == expected


def test_the_data_follows_a_pull(versions: Path, git: Git, tmp_path: Path) -> None:
    git("clone", "-q", "--bare", ".", str(tmp_path / "origin"))
    git("remote", "add", "origin", str(tmp_path / "origin"))
    git("push", "-q", "origin", "two:main", "--force")
    git("fetch", "-q")
    git("pull", "-q", "--rebase", "origin", "main")
    assert data_in(versions) == TWO
    git("reset", "-q", "--hard", "main~3")
    git("pull", "-q", "--no-rebase", "origin", "main")
    assert data_in(versions) == TWO


def test_the_data_follows_patches(versions: Path, git: Git, tmp_path: Path) -> None:
    git("format-patch", "-q", "-o", str(tmp_path / "patches"), "main~1..two")
    patches = sorted(map(str, (tmp_path / "patches").iterdir()))
    git("am", "-q", *patches)
    assert data_in(versions) == TWO


def test_a_change_that_is_stashed_takes_its_data_along_and_brings_it_back(
    versions: Path, git: Git, dvc: Dvc
) -> None:
    """Index entries are the same before and after: only the files on disk tell."""
    write_data(versions, TWO)
    dvc("add", "--quiet", "data/train.csv", "data/images")
    git("stash", "-q")
    assert data_in(versions) == ONE
    git("stash", "pop", "-q")
    assert data_in(versions) == TWO
    git("restore", ".")
    assert data_in(versions) == ONE


def test_one_metadata_file_brings_one_output(versions: Path, git: Git) -> None:
    git("checkout", "two", "--", "data/train.csv.dvc")
    assert data_in(versions) == ONE | {"data/train.csv": TWO["data/train.csv"]}
    git("checkout", "main", "--", "data/train.csv.dvc")
    assert data_in(versions) == ONE


def test_an_aborted_rebase_brings_the_data_back(versions: Path, git: Git) -> None:
    git("checkout", "-q", "-b", "mine")
    (versions / "other.py").write_text("2\n")
    git("add", "other.py")
    git("commit", "-qm", "conflicts with two")
    done = subprocess.run(["git", "rebase", "-q", "two"], capture_output=True, check=False)
    assert done.returncode != 0
    assert data_in(versions) == TWO
    git("rebase", "--abort")
    assert data_in(versions) == ONE


def test_a_conflicted_file_stops_only_its_own_data(
    versions: Path, git: Git, dvc: Dvc, capfd: pytest.CaptureFixture[str]
) -> None:
    (versions / "data/train.csv").write_text("mine\n")
    dvc("add", "--quiet", "data/train.csv")
    git("commit", "-qam", "mine")
    capfd.readouterr()
    done = subprocess.run(["git", "merge", "-q", "two"], capture_output=True, check=False)
    assert done.returncode != 0
    assert b"data/train.csv.dvc cannot be read (merge conflict markers)" in done.stderr
    assert (versions / "data/train.csv").read_text() == "mine\n"
    assert data_in(versions) == TWO | {"data/train.csv": "mine\n"}
    git("checkout", "--theirs", "--", "data/train.csv.dvc")
    git("add", "data/train.csv.dvc")
    git("commit", "-q", "--no-edit")
    assert data_in(versions) == TWO


def test_data_goes_with_its_metadata_and_comes_back(versions: Path, git: Git) -> None:
    git("rm", "-q", "data/train.csv.dvc")
    git("commit", "-qm", "no more")
    git("checkout", "-q", "main~1")
    assert data_in(versions) == ONE
    git("checkout", "-q", "main")
    assert "data/train.csv" not in data_in(versions)


def test_a_branch_without_dvc_and_back(versions: Path, git: Git) -> None:
    git("checkout", "-q", "--orphan", "bare")
    git("rm", "-rqf", ".")
    (versions / "README").write_text("nothing here\n")
    git("add", "README")
    git("commit", "-qm", "bare")
    assert data_in(versions) == {}
    git("checkout", "-q", "two")
    assert data_in(versions) == TWO
    git("checkout", "-q", "bare")
    assert data_in(versions) == {}
    git("checkout", "-q", "main")
    assert data_in(versions) == ONE
    assert git("status", "--porcelain") == ""


def test_data_that_another_branch_keeps_in_git_is_gits(versions: Path, git: Git) -> None:
    git("checkout", "-q", "-b", "in-git")
    git("rm", "-q", "data/train.csv.dvc")
    (versions / "data/.gitignore").write_text("/images\n")
    (versions / "data/train.csv").write_text(ONE["data/train.csv"])
    git("add", "data")
    git("commit", "-qm", "data in Git")
    assert data_in(versions) == ONE
    git("checkout", "-q", "two")
    assert data_in(versions) == TWO
    git("checkout", "-q", "in-git")
    assert (versions / "data/train.csv").read_text() == ONE["data/train.csv"]


def test_the_metadata_is_never_written(versions: Path, git: Git) -> None:
    before = {path: path.read_bytes() for path in versions.rglob("*.dvc") if path.is_file()}
    for branch in ("two", "main"):
        git("checkout", "-q", branch)
        assert git("status", "--porcelain") == ""
    assert before == {path: path.read_bytes() for path in before}
    (out,) = yaml.safe_load((versions / "data/train.csv.dvc").read_text())["outs"]
    assert out["md5"] == hashlib.md5((versions / "data/train.csv").read_bytes()).hexdigest()
