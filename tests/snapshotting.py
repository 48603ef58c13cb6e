"""Dirty trees, and all of a repository's Git state that a person could see change."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest
from conftest import Git

_NEVER = {".git", ".dvc", "data", "mlruns"}


def start() -> dict[str, str]:
    """Start and end a run here; return its tags."""
    import mlflow

    with mlflow.start_run() as run:
        pass
    return dict(mlflow.get_run(run.info.run_id).data.tags)


def make_dirty(repo: Path, git: Git) -> None:
    """Change the tree in every way there is; `kept.py` and its like are committed before."""
    for name in ("kept.py", "gone.py", "moved.py", "mode.sh", "staged.py", "both.py", "link.py"):
        (repo / name).write_text(f"# {name}\n")
    (repo / "model.bin").write_bytes(bytes(range(256)) * 40)
    (repo / ".gitignore").write_text("ignored.py\n.env\n")
    git("add", "--all")
    git("commit", "-qm", "many files")
    (repo / "gone.py").unlink()
    git("mv", "moved.py", "moved-to.py")
    (repo / "mode.sh").chmod(0o755)
    (repo / "staged.py").write_text("staged\n")
    (repo / "both.py").write_text("staged\n")
    git("add", "staged.py", "both.py")
    (repo / "both.py").write_text("and changed again\n")
    (repo / "link.py").unlink()
    (repo / "link.py").symlink_to("kept.py")
    (repo / "model.bin").write_bytes(b"\0\r\n\xff" * 1000)
    (repo / "new").mkdir()
    (repo / "new/code.py").write_text("new = 1\n")
    (repo / "new/conf.yaml").write_text("rate: 0.1\n")
    (repo / "new/tokenizer.json").write_text("{}\n")
    for name in NOT_KEPT:
        (repo / name).write_text("not for the snapshot\n")
    (repo / "mlruns").mkdir()
    (repo / "mlruns/meta.yaml").write_text("a: 1\n")


NOT_KEPT = {
    "ignored.py", "run.log", "result.csv", ".env", "aws-credentials.json", "x.pem", "kaggle.json",
    "hf_token.json", "api-keys.yaml", "service-account.json",
}  # fmt: skip


def files_in(folder: Path) -> dict[str, tuple[str, str]]:
    """Return path -> (kind, content) of the files of a tree, without Git's, DVC's and MLflow's."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if not _NEVER.isdisjoint(name.split("/")) or path.is_dir():
            continue
        info = path.lstat()
        kind = "link" if path.is_symlink() else str(bool(info.st_mode & stat.S_IXUSR))
        content = os.fsencode(os.readlink(path)) if path.is_symlink() else path.read_bytes()
        found[name] = (kind, hashlib.md5(content).hexdigest())
    return found


def brought_back(git: Git, snapshot: str, folder: Path) -> dict[str, tuple[str, str]]:
    """Return the files of the snapshot, checked out by Git into a worktree of its own."""
    git("worktree", "add", "-q", "--detach", str(folder), snapshot)
    return files_in(folder)


def git_state(folder: Path, git: Git) -> dict[str, object]:
    """Return what a person can see of the repository, and the bytes of what Git keeps."""
    git_dir = Path(git("rev-parse", "--absolute-git-dir", cwd=folder))
    common = Path(git("rev-parse", "--path-format=absolute", "--git-common-dir", cwd=folder))
    files = [*common.glob("refs/**/*"), *common.glob("packed-refs"), *common.glob("hooks/*")]
    files += [*git_dir.glob("*"), *(git_dir / "logs").glob("HEAD"), *git_dir.glob("rebase*/*")]
    files += [*(common / "logs/refs").glob("**/*"), *(common / "info").glob("*")]
    bytes_of = {
        str(path): path.read_bytes()
        for path in files
        if path.is_file() and path.name not in ("MLFLOW_RUN_HEAD", "config")
    }
    empty = str(_empty(folder, git))
    questions = {
        "log": ("log", "--all", "--format=%H %D"), "branches": ("branch", "-a"),
        "refs": ("for-each-ref",), "stash": ("stash", "list"),
        "reflog": ("reflog",),
        "status": ("--no-optional-locks", "status", "--porcelain=v2", "-uall"),
        "mirror": ("push", "--no-verify", "--mirror", "-n", "--porcelain", empty),
    }  # fmt: skip
    said = {name: git(*args, cwd=folder) for name, args in questions.items()}
    return {"bytes": bytes_of, **said}


def _empty(folder: Path, git: Git) -> Path:
    bare = folder.parent / f"{folder.name}-empty.git"
    if not bare.exists():
        git("init", "-q", "--bare", str(bare))
    return bare


@pytest.fixture
def dirty(repo: Path, git: Git, tracking_sqlite: str) -> Path:
    """Return a project whose tree differs from its commit in every way."""
    make_dirty(repo, git)
    return repo
