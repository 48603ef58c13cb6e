"""A project whose `git push` runs our pre-push hook, as Git runs it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import coverage
import pytest
from conftest import CHECKOUT, Dvc, Git
from s3 import KEY, S3, SECRET
from terminal import watched


class Pushed(NamedTuple):
    """What `git push` answered."""

    code: int
    err: str


Push = Callable[..., Pushed]
Commit = Callable[..., str]
UseS3 = Callable[..., None]


# The others start the same hooks some thousand times, which takes twice as long when measured.
_MEASURED = {
    "test_framework_push", "test_git_operations", "test_hostile_places", "test_nothing_is_lost",
    "test_precommit", "test_prepush", "test_prepush_edges", "test_prepush_s3", "test_quick_edges",
    "test_sync",
}  # fmt: skip


@pytest.fixture(autouse=True)
def measured(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the hooks, which are processes of their own, count for the coverage of the run."""
    module = request.module.__name__.rpartition(".")[2]
    if coverage.Coverage.current() is not None and module in _MEASURED:
        monkeypatch.setenv("COVERAGE_PROCESS_START", str(CHECKOUT / "setup.cfg"))
        monkeypatch.setenv("COVERAGE_FILE", str(CHECKOUT / ".coverage"))


@pytest.fixture
def origin(repo: Path, git: Git) -> Path:
    """Make an empty Git remote `origin` for the project, and its pre-push hook."""
    bare = repo.parent / "origin.git"
    git("init", "--quiet", "--bare", str(bare))
    git("remote", "add", "origin", str(bare), cwd=repo)
    hook = repo / ".git/hooks/pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m mlflow_dvc_plugin.hook pre-push "$@"\n'
    )
    hook.chmod(0o755)
    return bare


@pytest.fixture
def push(origin: Path, repo: Path) -> Push:
    """Run `git push *args` in the project."""

    def run(*args: str, cwd: Path = repo, seconds: float = 120, **env: str) -> Pushed:
        done = subprocess.run(
            ["git", "push", *(args or ("origin", "main"))], cwd=cwd, capture_output=True,
            env={**os.environ, **env}, check=False, timeout=seconds,
        )  # fmt: skip
        return Pushed(done.returncode, done.stderr.decode(errors="replace"))

    return run


@pytest.fixture
def commit_data(repo: Path, git: Git, dvc: Dvc) -> Commit:
    """Write a data file, `dvc add` it and commit; return the commit's id."""

    def run(path: str, content: str) -> str:
        (repo / path).parent.mkdir(parents=True, exist_ok=True)
        (repo / path).unlink(missing_ok=True)
        (repo / path).write_text(content)
        dvc("add", "--quiet", path, cwd=repo)
        git("add", "--all", cwd=repo)
        git("commit", "--quiet", "--message", f"data {path}", cwd=repo)
        return git("rev-parse", "HEAD", cwd=repo)

    return run


@pytest.fixture
def use_s3(repo: Path, dvc: Dvc, bucket: Path, s3_server: S3) -> UseS3:
    """Make a bucket the project's DVC remote, with these settings instead of the right ones."""

    def use(**settings: str) -> None:
        url = settings.pop("url", f"s3://{bucket.name}/dvc")
        dvc("remote", "add", "--quiet", "--force", "--default", "far", url, cwd=repo)
        right = {"endpointurl": s3_server.url, "region": "us-east-1"}
        right |= {"access_key_id": KEY, "secret_access_key": SECRET}
        for name, value in (right | settings).items():
            dvc("remote", "modify", "--quiet", "--local", "far", name, value, cwd=repo)

    return use


def on_terminal(repo: Path) -> tuple[int, str]:
    """Run `git push` with standard error on a terminal; return exit code and what it shows."""
    seen = watched(["git", "push", "origin", "main"], cwd=repo)
    return seen.code, seen.drawn.decode()


def stored(folder: Path) -> set[str]:
    """Return the hashes of the objects in a cache or a local remote."""
    files = folder / "files/md5"
    return {path.parent.name + path.name for path in files.glob("??/*") if path.is_file()}
