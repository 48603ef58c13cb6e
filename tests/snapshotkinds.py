"""Repositories of every kind, and in the middle of Git's own work; each returns where to work."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Git


def sparse(repo: Path, git: Git) -> Path:
    (repo / "other").mkdir()
    (repo / "other/x.py").write_text("x\n")
    git("add", "other")
    git("commit", "-qm", "other")
    git("sparse-checkout", "set", "--cone", "--sparse-index", ".dvc", "data")
    return repo


def split_index(repo: Path, git: Git) -> Path:
    git("config", "core.splitIndex", "true")
    git("update-index", "--split-index")
    return repo


def submodule(repo: Path, git: Git) -> Path:
    git("init", "-q", str(repo.parent / "library"))
    git("commit", "-q", "--allow-empty", "-m", "one", cwd=repo.parent / "library")
    git("submodule", "--quiet", "add", str(repo.parent / "library"), "library")
    git("commit", "-qm", "library")
    git("commit", "-q", "--allow-empty", "-m", "two", cwd=repo / "library")
    return repo


def filtered(repo: Path, git: Git) -> Path:
    """Git LFS and nbstripout are clean and smudge filters like these."""
    git("config", "filter.upper.clean", "tr a-z A-Z")
    git("config", "filter.upper.smudge", "tr A-Z a-z")
    git("config", "filter.upper.required", "true")
    (repo / ".gitattributes").write_text("*.txt filter=upper\n*.crlf text eol=crlf\n")
    git("config", "core.safecrlf", "true")
    (repo / "notes.txt").write_text("lower\n")
    (repo / "lines.crlf").write_bytes(b"a\r\nb\r\n")
    git("add", "-A")
    git("commit", "-qm", "filters")
    (repo / "notes.txt").write_text("changed\n")
    (repo / "lines.crlf").write_bytes(b"a\r\nb\r\nc\r\n")
    return repo


def lfs(repo: Path, git: Git) -> Path:
    if shutil.which("git-lfs") is None:
        pytest.skip("git-lfs is not installed here")
    git("lfs", "install", "--local")
    git("lfs", "track", "*.weights")
    (repo / "net.weights").write_bytes(b"\0one")
    git("add", "-A")
    git("commit", "-qm", "weights")
    (repo / "net.weights").write_bytes(b"\0two")
    return repo


def worktree(repo: Path, git: Git) -> Path:
    git("worktree", "add", "-q", "-b", "side", "../linked")
    return repo.parent / "linked"


def merge(repo: Path, git: Git) -> Path:
    conflict(repo, git)
    fails("merge", "-q", "side")
    return repo


def rebase(repo: Path, git: Git) -> Path:
    conflict(repo, git)
    fails("rebase", "-q", "side")
    return repo


def cherry_pick(repo: Path, git: Git) -> Path:
    conflict(repo, git)
    fails("cherry-pick", "side")
    return repo


def conflict(repo: Path, git: Git) -> None:
    git("checkout", "-q", "-b", "side")
    (repo / "train.py").write_text("theirs\n")
    git("commit", "-qam", "theirs")
    git("checkout", "-q", "main")
    (repo / "train.py").write_text("ours\n")
    git("commit", "-qam", "ours")


def fails(*args: str) -> None:
    assert subprocess.run(["git", *args], capture_output=True, check=False).returncode != 0


def folder_for_file(repo: Path, git: Git) -> Path:
    for name in ("a.py", "b/c.py", "d/e.py"):
        (repo / name).parent.mkdir(exist_ok=True)
        (repo / name).write_text("1\n")
    git("add", "-A")
    git("commit", "-qm", "files and folders")
    (repo / "a.py").unlink()
    (repo / "a.py").mkdir()
    (repo / "a.py/inside.py").write_text("2\n")
    (repo / "b/c.py").unlink()
    (repo / "b").rmdir()
    (repo / "b").write_text("3\n")
    (repo / "d/e.py").unlink()
    (repo / "d").rmdir()
    (repo / "d").symlink_to("data")
    git("add", "-N", "b", "d")
    return repo


def intent_to_add(repo: Path, git: Git) -> Path:
    (repo / "soon.py").write_text("soon\n")
    git("add", "--intent-to-add", "soon.py")
    return repo


def plain(repo: Path, git: Git) -> Path:
    return repo


KINDS = (plain, sparse, split_index, submodule, filtered, lfs, worktree, merge, rebase,
         cherry_pick, folder_for_file, intent_to_add)  # fmt: skip
