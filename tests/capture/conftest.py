"""Repositories on disk, written file by file, and DVC's own answer about them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mlflow_dvc_plugin.capture import discovery, metadata
from mlflow_dvc_plugin.capture.files import CommitFiles, WorktreeFiles
from mlflow_dvc_plugin.gitrepo import call_git_z
from mlflow_dvc_plugin.provenance import Metadata, Output

OLD = 1_600_000_000
A, B, C = "a" * 32, "b" * 32, "c" * 32
STAGE = "stages:\n  s:\n    cmd: x\n"
Write = Callable[..., Path]
Outs = set[tuple[str, str | None]]
_PATHSPECS = ("*.dvc", "*dvc.yaml", "*dvc.lock", "*.dvcignore", "*.dvc/config")


def run_git(folder: Path, *args: str) -> str:
    return subprocess.run(
        ["git", *args], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def write(root: Path, contents: Mapping[str, str | bytes]) -> Path:
    """Write files, older than any racy moment, and make each `x/.dvc/config` a DVC repository."""
    for name, content in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        os.utime(path, (OLD, OLD))
    return root


def commit(root: Path, message: str = "c") -> str:
    run_git(root, "add", "-A")
    run_git(root, "commit", "-qm", message, "--allow-empty")
    return run_git(root, "rev-parse", "HEAD")


def load_worktree(root: Path, dvc_root: str = "", memo: dict[str, Any] | None = None) -> Metadata:
    """Do what a capture does: ask Git, keep what DVC would find, read it."""
    top = str(root)
    memo = {} if memo is None else memo
    tracked = call_git_z(top, "ls-files", "-z", "--", *_PATHSPECS)
    ignored = call_git_z(top, "ls-files", "-z", "-i", "-c", "--exclude-standard")
    status = call_git_z(top, "status", "--porcelain=v1", "-z", "-uall")
    untracked = [record[3:] for record in status if record.startswith("??")]
    found = discovery.metadata_files(top, dvc_root, tracked, untracked, memo, ignored=ignored)
    assert not found.unknown
    memo = memo.setdefault("load", {})
    return metadata.load(WorktreeFiles(top), top, dvc_root, found.paths, memo, absent=found.absent)


def load_commit(root: Path, rev: str, dvc_root: str = "") -> Metadata:
    files = CommitFiles(str(root), rev)
    found = discovery.commit_metadata_files(files, dvc_root)
    assert not found.unknown
    return metadata.load(files, str(root), dvc_root, found.paths, {}, absent=found.absent)


def outs_of(found: Metadata) -> Outs:
    return {(out.path, out.hash) for out in found.outputs}


def dvc_outs(root: Path, dvc_root: str = "", rev: str | None = None) -> tuple[Outs, set[str]]:
    """Return DVC's own outputs, and the files it refuses; paths relative to the toplevel."""
    from dvc.fs import GitFileSystem
    from dvc.repo import Repo
    from dvc.repo.index import Index
    from dvc.scm import SCM

    if rev:
        scm = SCM(str(root))
        fs = GitFileSystem(scm=scm, rev=rev)
        repo = Repo("/" + dvc_root, fs=fs, scm=scm)
        top = "/"
    else:
        repo = Repo(str(root / dvc_root))
        top = str(root)
    broken: set[str] = set()

    def onerror(path: str, _: Exception) -> None:
        broken.add(os.path.relpath(os.path.abspath(path), os.path.realpath(top)))

    here = os.getcwd()
    os.chdir(top)
    try:
        with repo:
            index = Index.from_repo(repo, onerror=onerror)
            outs = {(_shown(out, top), out.hash_info.value or None) for out in index.outs}
    finally:
        os.chdir(here)
    return outs, broken


def _shown(out: Any, top: str) -> str:
    if out.fs.protocol != "local" or out.def_path.startswith("remote://"):
        return str(out.def_path)
    rel = os.path.relpath(out.fs_path, top)
    return str(out.fs_path) if rel.startswith("..") else rel


def lock(path: str, value: str = A, name: str = "s", new: bool = True) -> str:
    hashed = "hash: md5, " if new else ""
    return (
        f"schema: '2.0'\nstages:\n  {name}:\n    cmd: x\n    outs:\n"
        f"    - {{path: {path}, {hashed}md5: {value}, size: 1}}\n"
    )


def only(found: Metadata) -> Output:
    assert not found.broken
    (output,) = found.outputs
    return output


def same_as_dvc(root: Path, dvc_root: str = "") -> Metadata:
    found = load_worktree(root, dvc_root)
    outs, broken = dvc_outs(root, dvc_root)
    assert outs_of(found) == outs
    assert set(found.broken) == broken
    return found


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Git repository with an empty DVC repository in it."""
    root = tmp_path_factory.mktemp("template")
    subprocess.run(["git", "init", "-q", "-b", "main", str(root)], check=True)
    write(root, {".dvc/config": "", ".dvc/.gitignore": "/tmp\n/cache\n/config.local\n"})
    return root


@pytest.fixture
def make(template: Path, tmp_path: Path) -> Iterator[Write]:
    """Copy the template and write files into it: `make({"x.dvc": "outs: …"})`."""
    made: list[Path] = []

    def build(contents: Mapping[str, str | bytes]) -> Path:
        root = tmp_path / f"repo{len(made)}"
        shutil.copytree(template, root)
        made.append(root)
        return write(root, contents)

    yield build
    for root in made:
        shutil.rmtree(root, ignore_errors=True)
