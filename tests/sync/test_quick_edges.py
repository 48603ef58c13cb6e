"""Odd repositories and commands after which the quick look must not say clean too often."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Dvc, Git

from sync.test_precommit_quick import HOOK, hook, settle, stage

STAGE = b"stages: {make: {cmd: cp train.py model.bin, deps: [train.py], outs: [model.bin]}}\n"


def same_as_the_check(folder: Path, **env: str) -> tuple[int, bool]:
    """Run the hook, then the whole check; both must say the same."""
    quick = hook(folder, **env)
    for record in folder.parent.rglob("mlflow-dvc/clean"):
        record.unlink()
    full = hook(folder, **env)
    assert (quick[0], full[1]) == (full[0], True)
    return quick


@pytest.fixture
def known(repo: Path) -> Path:
    """Return a project in which a check has found everything clean."""
    settle(repo)
    assert hook(repo) == (0, False)
    return repo


def never_run(git: Git, folder: Path) -> None:
    """Add a stage that was never run: its output has no hash yet."""
    stage(git, folder, "dvc.yaml", STAGE)
    git("commit", "-qm", "stage")


def test_the_output_of_a_stage_that_was_never_run_does_not_enter_git(repo: Path, git: Git) -> None:
    never_run(git, repo)
    settle(repo)
    assert hook(repo) == (0, False)
    stage(git, repo, "model.bin", b"x")
    assert same_as_the_check(repo) == (1, True)


@pytest.mark.parametrize("name", ["LITERAL", "GLOB", "NOGLOB", "ICASE"])
def test_what_pathspecs_mean_to_the_user_changes_nothing(repo: Path, git: Git, name: str) -> None:
    first = (repo / "data/train.csv").read_bytes()
    settle(repo)
    text = f"outs:\n- md5: {'0' * 32}\n  path: train.csv\n"
    (repo / "data/train.csv.dvc").write_text(text)
    git("commit", "-qam", "metadata without its data")
    assert (repo / "data/train.csv").read_bytes() == first
    assert same_as_the_check(repo, **{f"GIT_{name}_PATHSPECS": "1"})[1]


def test_added_for_later_and_submodules_do_not_stop_it(known: Path, git: Git) -> None:
    (known / "later.py").write_text("x")
    git("add", "-N", "later.py")
    same_as_the_check(known)
    settle(known)
    inner = known.parent / "inner"
    git("init", "-q", str(inner))
    git("commit", "-q", "--allow-empty", "-m", "x", cwd=inner)
    git("submodule", "--quiet", "add", str(inner), "inner")
    assert same_as_the_check(known)[0] == 0
    settle(known)
    git("rm", "-q", "--cached", "data/train.csv.dvc")
    git("add", "-N", "data/train.csv.dvc")
    same_as_the_check(known)


def test_names_that_nobody_would_choose(known: Path, git: Git) -> None:
    for name in ("a\tb.py", "a\nb.py", os.fsdecode(b"\xff.py"), '"q".py', " "):
        stage(git, known, name, b"x")
    assert same_as_the_check(known) == (0, False)


def test_outputs_with_names_that_nobody_would_choose(known: Path, git: Git, dvc: Dvc) -> None:
    (known / "a\tb").write_text("1")
    dvc("add", "--quiet", "a\tb")
    git("add", "-A")
    git("commit", "-qm", "tab")
    settle(known)
    assert hook(known) == (0, False)
    (known / "a\tb").write_text("2")
    assert same_as_the_check(known) == (1, True)


def test_an_output_outside_and_one_that_is_a_link(known: Path, git: Git, dvc: Dvc) -> None:
    outside = known.parent / "outside.csv"
    outside.write_text("1")
    digest = "c4ca4238a0b923820dcc509a6f75849b"
    stage(git, known, "o.dvc", f"outs:\n- md5: {digest}\n  hash: md5\n  path: {outside}\n".encode())
    cached = known / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
    cached.parent.mkdir(parents=True)
    cached.write_text("1")
    shutil.move(known / "data/train.csv", known.parent / "elsewhere")
    (known / "data/train.csv").symlink_to(known.parent / "elsewhere")
    git("commit", "-qm", "outside")
    settle(known)
    assert hook(known) == (0, False)
    (known.parent / "elsewhere").write_text("x,y\n9,9\n9,9\n")
    assert same_as_the_check(known) == (1, True)
    settle(known)
    outside.write_text("2")
    assert same_as_the_check(known) == (1, True)


def test_metadata_that_enters_again_is_looked_at(known: Path, git: Git, dvc: Dvc) -> None:
    (known / "new.csv").write_text("new")
    dvc("add", "--quiet", "new.csv")
    git("add", "-A")
    git("commit", "-qm", "new")
    settle(known)
    assert hook(known) == (0, False)
    shutil.rmtree(known / ".dvc/cache")
    assert same_as_the_check(known)[0] == 0
    settle(known)
    git("reset", "-q", "--soft", "HEAD~1")
    assert same_as_the_check(known)[1]


def test_a_copy_of_the_project_is_looked_at(known: Path) -> None:
    other = known.parent / "other"
    shutil.copytree(known, other, symlinks=True)
    (other / "data/train.csv").write_text("other\n")
    assert same_as_the_check(other) == (1, True)
    shutil.move(known, known.parent / "before")
    shutil.move(other, known)
    (known.parent / "before/data/train.csv").unlink()
    assert same_as_the_check(known) == (1, True)


@pytest.mark.parametrize("handles", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_streams_that_are_closed(known: Path, git: Git, handles: tuple[int, ...]) -> None:
    stage(git, known, "code.py", b"x")
    closing = "; ".join(f"os.close({one})" for one in handles)
    code = (
        f"import os, sys; {closing}\nfrom mlflow_dvc_plugin.sync.quick import still_clean\n"
        "os._exit(0 if still_clean() else 7)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=known, check=False).returncode == 0


def test_no_git_and_another_folder(known: Path) -> None:
    code = HOOK.replace("main([", "print(end='') or main([")
    for folder, path in ((known, "/nowhere"), (known / "data", os.environ["PATH"])):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=folder, env={**os.environ, "PATH": path},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        assert done.stdout.endswith("True\n")


def test_a_repository_of_long_ids(
    tmp_path: Path, git: Git, dvc: Dvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "long"
    git("init", "-q", "--object-format=sha256", str(project))
    monkeypatch.chdir(project)
    dvc("init", "--quiet", "--no-scm")
    (project / "d.csv").write_text("1")
    dvc("add", "--quiet", "d.csv")
    (project / ".gitignore").write_text("/d.csv\n")
    git("add", "-A")
    git("commit", "-qm", "x")
    settle(project)
    stage(git, project, "c.py", b"x")
    assert same_as_the_check(project) == (0, False)
    settle(project)
    stage(git, project, "big", b"x" * 10_000_001)
    (project / "big").unlink()
    assert same_as_the_check(project) == (1, True)


def test_a_linked_worktree_has_a_record_of_its_own(known: Path, git: Git, dvc: Dvc) -> None:
    tree = known.parent / "linked"
    git("worktree", "add", "-q", str(tree))
    (tree / ".dvc/config.local").write_text(f"[cache]\n    dir = {known}/.dvc/cache\n")
    dvc("checkout", "--quiet", cwd=tree)
    env = {"GIT_DIR": git("rev-parse", "--absolute-git-dir", cwd=tree)}
    settle(tree)
    hook(tree, **env)
    assert hook(tree, **env) == (0, False)
    (tree / "data/train.csv").unlink()
    (tree / "data/train.csv").write_text("x")
    assert hook(tree, **env) == (1, True)
    assert hook(known) == (0, False)
