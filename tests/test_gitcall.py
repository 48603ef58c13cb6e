"""Starting Git: its end is seen as it comes, and it is not waited for longer than it may take."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlflow_dvc_plugin.gitrepo import GitError, call_git


@pytest.fixture(params=["pidfd", "none", "eventlet"])
def told(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kernel tell of the end, or not (macOS, Windows, old Linux)."""
    if request.param == "none":
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    if request.param == "eventlet":  # its monkey_patch() takes this away
        monkeypatch.delattr(select, "poll", raising=False)


def fake_git(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "bin/git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("told")
def test_an_answer_is_whole_and_an_error_has_its_code(repo: Path) -> None:
    name = call_git(str(repo), "hash-object", "-w", "--stdin", stdin=b"x" * 1_000_000)
    assert len(call_git(str(repo), "cat-file", "blob", name.decode().strip())) == 1_000_000
    with pytest.raises(GitError) as raised:
        call_git(str(repo), "rev-parse", "--verify", "gone")
    assert raised.value.code == 128


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("script", [
    "exec sleep 60",  # nothing is said
    "exec sleep 60 </dev/null >/dev/null 2>&1",  # nothing can be said any more
    "sleep 60 & exit 0",  # another process has its pipes
])  # fmt: skip
def test_git_is_not_waited_for_longer_than_it_may_take(
    tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_git(tmp_path, script, monkeypatch)
    began = time.monotonic()
    with pytest.raises(GitError, match=r"did not answer within 0\.5 s"):
        call_git(str(tmp_path), "status", timeout=0.5)
    assert time.monotonic() - began < 20


def test_the_time_is_not_waited_for_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[float | None] = []
    wait = subprocess.Popen.wait

    def noted(process: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        left.append(timeout)
        return wait(process, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", noted)
    fake_git(tmp_path, "exec sleep 60 </dev/null >/dev/null 2>&1", monkeypatch)
    with pytest.raises(GitError):
        call_git(str(tmp_path), "status", timeout=2.0)
    assert left[0] is not None and left[0] < 1.0


def test_what_somebody_else_waits_for_is_an_answer_too(repo: Path) -> None:
    """A process that ignores SIGCHLD has no children to wait for."""
    code = (
        "import os, signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); "
        "from mlflow_dvc_plugin.gitrepo import call_git; "
        "print(call_git(os.getcwd(), 'rev-parse', '--is-inside-work-tree'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repo, capture_output=True, text=True, check=True
    )
    assert done.stdout == "b'true\\n'\n"
