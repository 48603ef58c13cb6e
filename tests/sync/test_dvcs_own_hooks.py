"""Where the hooks of `dvc install` go wrong, and what ours do there: the same steps with both."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Dvc, Git
from versions import ONE, TWO, data_in, write_data

from sync.conftest import stored

INSTALL = {
    "dvc": (sys.executable, "-m", "dvc", "install"),
    "ours": (sys.executable, "-m", "mlflow_dvc_plugin.cli", "install"),
}
both = pytest.mark.parametrize("tool", INSTALL)


def run(*command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def install(tool: str, cwd: Path | None = None) -> None:
    done = run(*INSTALL[tool], cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def plain(versions_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the project of `versions` without any hook."""
    shutil.copytree(versions_template, tmp_path, symlinks=True, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("GIT_EDITOR", "true")
    programs = os.path.dirname(sys.executable)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    run("git", "init", "-q", "--bare", str(tmp_path / "origin"))
    return tmp_path / "project"


@both
def test_a_commit_while_data_differs(plain: Path, tool: str) -> None:
    install(tool)
    (plain / "data/train.csv").write_text("mine\n")
    (plain / "code.py").write_text("2\n")
    done = run("git", "commit", "-qam", "code")
    assert (done.returncode == 0) == (tool == "dvc")
    assert "data/train.csv" in done.stdout + done.stderr


@both
@pytest.mark.parametrize(
    ("before", "command"),
    [("", "merge -q --no-edit two"), ("", "pull -q --no-rebase . two"), ("", "rebase -q two"),
     ("", "cherry-pick two~1"), ("", "reset -q --hard two"), ("", "checkout -q two -- ."),
     ("checkout -q two", "revert --no-edit HEAD~1")],
)  # fmt: skip
def test_data_follows_more_than_a_checkout(
    plain: Path, git: Git, tool: str, before: str, command: str
) -> None:
    install(tool)
    if before:
        git(*before.split())
    stale, right = (TWO, ONE) if before else (ONE, TWO)
    done = run("git", *command.split())
    assert done.returncode == 0, done.stderr
    assert data_in(plain) == (stale if tool == "dvc" else right)


@both
def test_data_follows_a_stash(plain: Path, git: Git, dvc: Dvc, tool: str) -> None:
    install(tool)
    write_data(plain, TWO)
    dvc("add", "--quiet", "data/train.csv", "data/images")
    git("stash", "-q")
    assert data_in(plain) == (TWO if tool == "dvc" else ONE)


@both
@pytest.mark.parametrize("kind", ["worktree", "submodule"])
def test_a_worktree_and_a_submodule_have_hooks(
    plain: Path, git: Git, tmp_path: Path, tool: str, kind: str
) -> None:
    place = tmp_path / "above/inner"
    if kind == "worktree":
        git("worktree", "add", "-q", str(place), "main~1")
    else:
        git("init", "-q", str(place.parent))
        git("submodule", "--quiet", "add", str(plain), "inner", cwd=place.parent)
    done = run(*INSTALL[tool], cwd=place)
    assert (done.returncode == 0) == (tool == "ours")
    assert ("Not a directory" in done.stderr) == (tool == "dvc")


@both
def test_hooks_are_where_git_looks(plain: Path, git: Git, tmp_path: Path, tool: str) -> None:
    git("config", "core.hooksPath", str(plain / ".git/elsewhere"))
    install(tool)
    git("checkout", "-q", "two")
    assert data_in(plain) == (ONE if tool == "dvc" else TWO)


@both
def test_a_hook_that_is_there_and_a_second_install(plain: Path, git: Git, tool: str) -> None:
    hook = plain / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho theirs >&2\n")
    hook.chmod(0o755)
    assert (run(*INSTALL[tool]).returncode == 0) == (tool == "ours")
    hook.unlink()
    install(tool)
    assert (run(*INSTALL[tool]).returncode == 0) == (tool == "ours")
    uninstall = run(*INSTALL[tool][:-1], "uninstall")
    assert (uninstall.returncode == 0) == (tool == "ours")
    assert hook.exists() == (tool == "dvc")


@pytest.fixture
def below(plain: Path, tmp_path: Path, git: Git, dvc: Dvc, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a DVC repository in a subfolder; its folder `d` grows by a file on two branches."""
    top = tmp_path / "top"
    sub = top / "sub"
    (sub / "data/d").mkdir(parents=True)
    git("init", "-q", str(top))
    monkeypatch.chdir(top)
    dvc("init", "--quiet", "--subdir", cwd=sub)
    (top / ".gitattributes").write_text("*.dvc merge=dvc\n")
    for branch, name in (("main", "base"), ("other", "other"), ("mine", "mine")):
        if branch != "main":
            git("checkout", "-q", "-b", branch, "main")
        (sub / f"data/d/{name}").write_text(name)
        dvc("add", "--quiet", "data/d", cwd=sub)
        git("add", "-A")
        git("commit", "-qm", name)
        (sub / f"data/d/{name}").unlink(missing_ok=name == "base")
        (sub / "data/d/base").write_text("base")
    dvc("checkout", "--quiet", "--force", cwd=sub)
    return sub


@both
def test_a_repository_in_a_subfolder_is_followed(below: Path, git: Git, tool: str) -> None:
    install(tool, below)
    before = data_in(below)
    git("checkout", "-q", "other")
    right = {"data/d/base": "base", "data/d/other": "other"}
    assert data_in(below) == (before if tool == "dvc" else right)


@both
def test_a_merge_in_a_subfolder_drops_no_side(below: Path, tool: str) -> None:
    install(tool, below)
    mine = (below / "data/d.dvc").read_text()
    done = run("git", "merge", "-q", "--no-edit", "other")
    if tool == "dvc":
        assert (done.returncode, (below / "data/d.dvc").read_text()) == (0, mine)
    else:
        assert done.returncode == 1
        assert "sub/data/d.dvc cannot be read (merge conflict markers)" in done.stderr


@both
def test_a_push_takes_the_data_of_all_its_commits(
    plain: Path, git: Git, dvc: Dvc, tmp_path: Path, tool: str
) -> None:
    for text in ("one", "two", "three"):
        (plain / "data/train.csv").unlink()
        (plain / "data/train.csv").write_text(text)
        dvc("add", "--quiet", "data/train.csv")
        git("commit", "-qam", text)
    install(tool)
    before = stored(tmp_path / "remote")
    assert run("git", "push", "-q", f"{tmp_path}/origin", "main").returncode == 0
    assert len(stored(tmp_path / "remote") - before) == (1 if tool == "dvc" else 3)


@both
def test_a_push_without_its_data_is_stopped(plain: Path, tmp_path: Path, tool: str) -> None:
    shutil.rmtree(plain / ".dvc/cache")
    shutil.rmtree(tmp_path / "remote")
    write_data(plain, {})
    install(tool)
    done = run("git", "push", "-q", f"{tmp_path}/origin", "main")
    assert (done.returncode == 0) == (tool == "dvc")


def make_trouble(kind: str, plain: Path, git: Git) -> None:
    if kind == "dirty data":
        (plain / "data/train.csv").write_text("mine\n")
    elif kind == "missing cache":
        shutil.rmtree(plain / ".dvc/cache")
    else:
        (plain / "dvc.yaml").write_text("stages: {s: {cmd: touch new, outs: [new]}}\n")
        git("add", "dvc.yaml")


@both
@pytest.mark.parametrize("kind", ["dirty data", "missing cache", "unrun stage"])
@pytest.mark.parametrize("command", ["checkout -q two", "bisect start two main~1"])
def test_a_git_command_does_not_fail_because_of_the_data(
    plain: Path, git: Git, tool: str, kind: str, command: str
) -> None:
    install(tool)
    make_trouble(kind, plain, git)
    done = run("git", *command.split())
    assert (done.returncode == 0) == (tool == "ours"), done.stderr
    if kind == "unrun stage" and tool == "ours":
        assert data_in(plain) == TWO


@both
@pytest.mark.slow
def test_a_git_command_does_not_fail_because_of_a_lock(plain: Path, tool: str) -> None:
    install(tool)
    (plain / ".dvc/tmp").mkdir(exist_ok=True)
    with (plain / ".dvc/tmp/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = run("git", "checkout", "-q", "two")
    assert (done.returncode == 0) == (tool == "ours")


@both
def test_a_branch_without_dvc_and_back(plain: Path, git: Git, tool: str) -> None:
    git("branch", "bare", git("commit-tree", git("mktree"), "-m", "nothing"))
    install(tool)
    git("checkout", "-q", "two")
    assert data_in(plain) == TWO
    assert run("git", "checkout", "-q", "bare").returncode == 0
    assert data_in(plain) == {}
    assert (plain / ".dvc/.gitignore").exists() == (tool == "dvc")
    done = run("git", "checkout", "-q", "main")
    assert (done.returncode == 0) == (tool == "ours")
    assert data_in(plain) == ({} if tool == "dvc" else ONE)


def test_nothing_to_do_takes_no_time(plain: Path, git: Git) -> None:
    took = {}
    for tool in ("dvc", "ours"):
        install(tool)
        git("checkout", "-q", "main~1")
        began = time.monotonic()
        git("checkout", "-q", "main")
        took[tool] = time.monotonic() - began
    assert took["ours"] * 4 < took["dvc"]
