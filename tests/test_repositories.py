"""The kinds of worktrees and repositories that people have: each run knows its own."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from conftest import Dvc, Git
from providing import BRANCH, COMMIT, as_script, code_of, tags, warnings_in

# ---- kinds of worktrees ----


def test_a_linked_worktree_has_its_own_branch_and_its_own_data(
    repo: Path, git: Git, dvc: Dvc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("worktree", "add", "-q", "-b", "other", "../linked")
    (repo / "train.py").write_text("changed in the main worktree only\n")
    monkeypatch.chdir(tmp_path / "linked")
    found = tags()
    assert code_of(found) == (git("rev-parse", "HEAD"), "other", "false")
    assert found["dvc.missing"] == '["data/images","data/train.csv"]'
    assert "dvc.hash" not in found and "dvc.status" not in found
    for name in ("data/train.csv", "data/images"):
        copy = shutil.copytree if (repo / name).is_dir() else shutil.copy
        copy(repo / name, name)
    found = tags()
    assert found["dvc.status"] == "clean" and "dvc.missing" not in found
    monkeypatch.chdir(repo)
    assert code_of(tags()) == (git("rev-parse", "HEAD"), "main", "true")


def test_a_detached_head_has_a_commit_and_no_branch(repo: Path, git: Git) -> None:
    git("checkout", "-q", "--detach")
    assert code_of(tags()) == (git("rev-parse", "HEAD"), None, "false")


def test_an_unborn_head_has_no_commit_and_staged_files_make_it_dirty(repo: Path, git: Git) -> None:
    git("checkout", "-q", "--orphan", "new")
    found = tags()
    assert code_of(found) == (None, "new", "true")
    assert "git.tree" not in found
    assert found["dvc.status"] == "clean" and len(found["dvc.hash"]) == 32


def test_a_shallow_clone_has_commit_tree_and_remote(
    repo: Path, git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("commit", "-q", "--allow-empty", "--message", "second")
    git("clone", "-q", "--depth", "1", repo.as_uri(), str(tmp_path / "shallow"))
    monkeypatch.chdir(tmp_path / "shallow")
    found = tags()
    assert code_of(found) == (git("rev-parse", "HEAD"), "main", "false")
    assert found["git.tree"] == git("rev-parse", "HEAD^{tree}")
    assert found["mlflow.source.git.repoURL"] == repo.as_uri()


def test_a_sparse_checkout_is_clean_and_what_it_leaves_out_is_no_input(
    repo: Path, git: Git
) -> None:
    (repo / "more").mkdir()
    (repo / "more/out.csv.dvc").write_text("outs:\n- md5: " + "a" * 32 + "\n  path: out.csv\n")
    git("add", "--all")
    git("commit", "-q", "--message", "more")
    assert "more/out.csv" in tags()["dvc.missing"]
    git("sparse-checkout", "set", "data", ".dvc")
    assert not (repo / "more").exists()
    found = tags()
    assert code_of(found) == (git("rev-parse", "HEAD"), "main", "false")
    assert found["git.tree"] == git("rev-parse", "HEAD^{tree}")
    assert found["dvc.status"] == "clean" and "dvc.missing" not in found


def test_refs_that_git_has_packed(repo: Path, git: Git) -> None:
    git("pack-refs", "--all")
    git("gc", "--quiet")
    assert not (repo / ".git/refs/heads/main").exists()
    assert code_of(tags()) == (git("rev-parse", "HEAD"), "main", "false")


@pytest.mark.parametrize("branch", ["feature/a/b", "größe-数据-🦊", "it's", "a.b", "HEAD2"])
def test_branch_names_with_slashes_quotes_and_unicode(repo: Path, git: Git, branch: str) -> None:
    git("checkout", "-q", "-b", branch)
    assert code_of(tags())[1] == branch


# ---- submodules ----


@pytest.fixture
def superproject(repo: Path, git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository that holds `repo` as its submodule `sub`, and go there."""
    folder = tmp_path / "super"
    git("init", "-q", str(folder))
    (folder / "main.py").write_text("pass\n")
    git("submodule", "--quiet", "add", str(repo), "sub", cwd=folder)
    git("add", "--all", cwd=folder)
    git("commit", "-q", "--message", "super", cwd=folder)
    monkeypatch.chdir(folder)
    return folder


def test_a_superproject_and_its_submodule_are_two_repositories(
    superproject: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert code_of(tags()) == (git("rev-parse", "HEAD"), "main", "false")
    monkeypatch.chdir(superproject / "sub")
    assert code_of(tags()) == (git("rev-parse", "HEAD", cwd="."), "main", "false")
    assert tags()[COMMIT] != git("rev-parse", "HEAD", cwd=superproject)


@pytest.mark.parametrize("ignore", ["none", "all", "dirty", "untracked"])
def test_a_dirty_submodule_makes_the_superproject_dirty_whatever_the_settings_ignore(
    superproject: Path, git: Git, ignore: str
) -> None:
    git("config", "diff.ignoreSubmodules", ignore)
    git("config", "submodule.sub.ignore", ignore)
    assert tags()["git.dirty"] == "false"
    (superproject / "sub/train.py").write_text("changed\n")
    assert tags()["git.dirty"] == "true"


def test_a_commit_in_a_submodule_that_is_not_recorded_makes_it_dirty(
    superproject: Path, git: Git
) -> None:
    git("commit", "-q", "--allow-empty", "--message", "new", cwd=superproject / "sub")
    assert tags()["git.dirty"] == "true"


def test_a_submodule_with_only_untracked_files_is_not_dirty(superproject: Path) -> None:
    (superproject / "sub/mlflow.db").write_text("x")
    found = tags()
    assert found["git.dirty"] == "false" and "git.tree" in found


# ---- odd places ----


def test_an_empty_git_folder_below_a_repository_is_passed_over(
    repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repo / "sub/.git").mkdir(parents=True)
    monkeypatch.chdir(repo / "sub")
    assert code_of(tags()) == (git("rev-parse", "HEAD", cwd=repo), "main", "false")


def test_a_symlinked_working_directory_is_the_repository_it_leads_to(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = tags()
    (tmp_path / "link").symlink_to(repo / "data")
    monkeypatch.chdir(tmp_path / "link")
    monkeypatch.setenv("PWD", str(tmp_path / "link"))
    assert tags() == expected


def test_a_deleted_working_directory_costs_nothing_but_its_tags(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert tags() == {}
    assert warnings_in(caplog) == []
    as_script(monkeypatch, repo / "train.py")
    found = tags()
    assert BRANCH in found and found["dvc.status"] == "clean"
    monkeypatch.setenv("MLFLOW_DVC_REPO", str(repo))
    assert tags() == found


@pytest.mark.parametrize(
    "name",
    [
        b"with space",
        b"it's",
        b'"double"',
        b"new\nline",
        b"\xff\xfe not UTF-8",
        b"-n",
        b"$HOME;`ls`",
    ],
)
def test_a_repository_in_a_folder_with_an_odd_name(
    repo: Path, git: Git, tmp_path: Path, name: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = tags()
    # DVC's own state of the repository knows its old place.
    shutil.rmtree(repo / ".dvc/tmp", ignore_errors=True)
    folder = os.path.join(os.fsencode(tmp_path), name)
    os.rename(repo, folder)
    monkeypatch.chdir(os.fsdecode(folder))
    assert tags() == expected
    (Path.cwd() / "train.py").write_text("changed\n")
    (Path.cwd() / "data/train.csv").write_text("changed\n")
    found = tags()
    assert found["git.dirty"] == "true" and found["dvc.status"] == "modified"


@pytest.mark.parametrize(
    "name", [b"with space", b'"', b"new\nline", b"\xff\xfe", "größe".encode(), b"-n", b":(top)x"]
)
def test_a_changed_file_with_an_odd_name_makes_the_tree_dirty(
    repo: Path, git: Git, name: bytes
) -> None:
    path = os.path.join(os.fsencode(repo), name)
    with open(path, "wb") as file:
        file.write(b"first\n")
    git("add", "--all")
    git("commit", "-q", "--message", "odd")
    assert tags()["git.dirty"] == "false"
    with open(path, "wb") as file:
        file.write(b"second\n")
    assert tags()["git.dirty"] == "true"


def test_names_that_differ_only_in_case_are_different_data(repo: Path, dvc: Dvc, git: Git) -> None:
    (repo / "data/Train.csv").write_text("another\n")
    if (repo / "data/train.csv").read_text() == "another\n":
        pytest.skip("this file system does not tell case apart")
    dvc("add", "--quiet", "data/Train.csv")
    git("add", "--all")
    git("commit", "-q", "--message", "case")
    found = json.loads(tags()["dvc.manifest"])
    assert found["data/Train.csv"] != found["data/train.csv"]
    (repo / "data/Train.csv").write_text("changed\n")
    assert tags()["dvc.changed"] == '["data/Train.csv"]'
