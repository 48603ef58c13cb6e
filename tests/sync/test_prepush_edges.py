"""pre-push: remotes that are special, and repositories that are laid out otherwise."""

from __future__ import annotations

import shutil
from pathlib import Path

from conftest import Dvc, Git

from sync.conftest import Commit, Push, stored
from sync.test_prepush import lose, md5


def test_without_a_dvc_remote_one_line_says_so_and_the_push_goes_on(
    repo: Path, dvc: Dvc, push: Push
) -> None:
    dvc("remote", "remove", "local", cwd=repo)
    done = push()
    assert done.code == 0, done.err
    assert done.err.count("no default DVC remote is configured") == 1


def test_a_remote_that_keeps_versions_is_never_pushed_to(repo: Path, dvc: Dvc, push: Push) -> None:
    dvc("remote", "modify", "local", "version_aware", "true", cwd=repo)
    shutil.rmtree(repo.parent / "remote")
    done = push()
    assert done.code == 0, done.err
    assert done.err.count("keeps versions of files") == 1
    assert not (repo.parent / "remote").exists()


def test_an_output_goes_to_its_own_remote(
    repo: Path, git: Git, dvc: Dvc, push: Push, commit_data: Commit
) -> None:
    dvc("remote", "add", "--quiet", "Own", "../own", cwd=repo)
    commit_data("data/own.csv", "own\n")
    file = repo / "data/own.csv.dvc"
    file.write_text(file.read_text() + "  remote: Own\n")
    git("commit", "--quiet", "--all", "--message", "own remote", cwd=repo)
    done = push()
    assert done.code == 0, done.err
    assert md5("own\n") in stored(repo.parent / "own")


def test_an_import_from_another_repository_is_left_alone(
    repo: Path, git: Git, dvc: Dvc, push: Push
) -> None:
    other = repo.parent / "other"
    shutil.copytree(repo, other)
    (repo / "imported").mkdir()
    dvc("import", "--quiet", str(other), "data/train.csv", "--out", "imported/x.csv", cwd=repo)
    text = (repo / "imported/x.csv.dvc").read_text()
    (repo / "imported/x.csv.dvc").write_text(text.replace(md5("x,y\n1,2\n3,4\n"), md5("gone")))
    git("add", "--all", cwd=repo)
    git("commit", "--quiet", "--message", "import", cwd=repo)
    done = push()
    assert done.code == 0, done.err


def test_todays_remote_serves_commits_that_are_older_than_it(
    repo: Path, git: Git, dvc: Dvc, push: Push, commit_data: Commit
) -> None:
    commit_data("data/train.csv", "second\n")
    dvc("remote", "add", "--quiet", "--default", "new", "../new", cwd=repo)
    done = push()
    assert done.code == 0, done.err
    assert stored(repo.parent / "new") == stored(repo / ".dvc/cache")


def test_a_linked_worktree_pushes_from_the_main_cache_with_its_local_settings(
    repo: Path, git: Git, dvc: Dvc, push: Push, commit_data: Commit
) -> None:
    commit_data("data/train.csv", "second\n")
    dvc("remote", "modify", "--local", "local", "url", str(repo.parent / "there"), cwd=repo)
    linked = repo.parent / "linked"
    git("worktree", "add", "--quiet", "-b", "side", str(linked), cwd=repo)
    done = push("origin", "side", cwd=linked)
    assert done.code == 0, done.err
    assert stored(repo.parent / "there") == stored(repo / ".dvc/cache")


def test_dvc_in_a_subfolder_has_its_own_remote(repo: Path, git: Git, dvc: Dvc, push: Push) -> None:
    sub = repo / "sub"
    sub.mkdir()
    dvc("init", "--quiet", "--subdir", cwd=sub)
    dvc("remote", "add", "--quiet", "--default", "below", "../../below", cwd=sub)
    (sub / "x.csv").write_text("sub\n")
    dvc("add", "--quiet", "x.csv", cwd=sub)
    git("add", "--all", cwd=repo)
    git("commit", "--quiet", "--message", "sub", cwd=repo)
    done = push()
    assert done.code == 0, done.err
    assert stored(repo.parent / "below") == {md5("sub\n")}


def test_metadata_that_cannot_be_read_is_named_and_the_rest_goes_up(
    repo: Path, git: Git, push: Push, commit_data: Commit
) -> None:
    commit_data("data/train.csv", "second\n")
    (repo / "data/bad.dvc").write_text("<<<<<<< ours\n")
    git("add", "--all", cwd=repo)
    git("commit", "--quiet", "--message", "conflict", cwd=repo)
    done = push()
    assert done.code == 0, done.err
    assert "data/bad.dvc cannot be read" in done.err
    assert md5("second\n") in stored(repo.parent / "remote")


def test_a_merge_introduces_only_what_neither_side_has(
    repo: Path, git: Git, push: Push, commit_data: Commit
) -> None:
    git("switch", "--quiet", "--create", "side", cwd=repo)
    commit_data("data/side.csv", "side\n")
    git("switch", "--quiet", "main", cwd=repo)
    commit_data("data/train.csv", "main\n")
    assert push("origin", "main", "side").code == 0
    git("merge", "--quiet", "--no-edit", "side", cwd=repo)
    shutil.rmtree(repo.parent / "remote")
    done = push()
    assert (done.code, "mlflow-dvc" in done.err) == (0, False), done.err


def test_a_damaged_object_in_the_cache_is_not_uploaded(
    repo: Path, push: Push, commit_data: Commit
) -> None:
    commit_data("data/train.csv", "good\n")
    name = md5("good\n")
    lose(repo, name)
    (repo / ".dvc/cache/files/md5" / name[:2] / name[2:]).write_text("bad!\n")
    done = push()
    assert done.code != 0
    assert "damaged" in done.err
    assert name not in stored(repo.parent / "remote")
