"""The code of two runs, or of a run and the worktree, as trees beside each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Git

from lineage.making import made
from mlflow_dvc_plugin.lineage.codediff import CodeDiff
from mlflow_dvc_plugin.lineage.diff import diff
from mlflow_dvc_plugin.lineage.record import Record


def code(first: Record, second: Record | None = None, patch: bool = False) -> CodeDiff:
    found = diff(first, second, parts=["code"], patch=patch).code
    assert found is not None
    return found


def short(found: CodeDiff) -> list[tuple[object, ...]]:
    return [(one.kind, one.was, one.path, one.added, one.deleted) for one in found.files]


def tagged(run: Record, **tags: str) -> Record:
    return replace(run, tags={**run.tags, **{key.replace("_", "."): tags[key] for key in tags}})


def without(run: Record, *keys: str) -> Record:
    return replace(run, tags={key: run.tags[key] for key in run.tags if key not in keys})


def committed(git: Git, message: str) -> None:
    git("add", "-A")
    git("commit", "-qm", message)


def snapshot(run: Record, git: Git) -> Record:
    """Keep the worktree as a commit, as the provider does; untracked files included."""
    git("add", "-A")
    tree = git("write-tree")
    kept = git("commit-tree", "-p", "HEAD", "-m", "snapshot", tree)
    git("reset", "-q")
    return tagged(run, git_snapshot=kept, git_tree=tree, git_dirty="true")


def change_everything(repo: Path) -> None:
    """Change, rename, remove and add code; binary content, modes, links and odd names."""
    (repo / "train.py").write_text("import mlflow\n\nmlflow.start_run()\n")
    (repo / "model.py").rename(repo / "net.py")
    (repo / "old.py").unlink()
    (repo / "weights.bin").write_bytes(b"\0\1\2other")
    (repo / "run.sh").chmod(0o755)
    (repo / "link").unlink()
    (repo / "link").symlink_to("net.py")
    (repo / "new\nline.py").write_text("new\n")


EVERYTHING = [
    ("changed", None, "link", 1, 1), ("moved", "model.py", "net.py", 0, 0),
    ("added", None, "new\nline.py", 1, 0), ("removed", None, "old.py", 0, 1),
    ("changed", None, "run.sh", 0, 0), ("changed", None, "train.py", 1, 2),
    ("changed", None, "weights.bin", None, None),
]  # fmt: skip


@pytest.fixture
def project(repo: Path, tracking_sqlite: str, git: Git) -> Path:
    (repo / "model.py").write_text("".join(f"layer_{number} = 1\n" for number in range(20)))
    (repo / "old.py").write_text("1\n")
    (repo / "weights.bin").write_bytes(b"\0\1\2\3")
    (repo / "run.sh").write_text("python train.py\n")
    (repo / "link").symlink_to("model.py")
    committed(git, "code")
    return repo


def test_two_clean_runs_are_compared_commit_by_commit(project: Path, git: Git) -> None:
    first = made()
    change_everything(project)
    committed(git, "it's \x1b[31mall\x1b[0m new")
    found = code(first, made())
    assert short(found) == EVERYTHING and found.same is False
    assert {one.path: one.mode for one in found.files if one.mode} == {"run.sh": "100644 => 100755"}
    assert found.only == (0, 1)
    assert [one.subject for one in found.commits] == ["it's \x1b[31mall\x1b[0m new"]
    assert code(first, first) == CodeDiff(only=(0, 0))


def test_a_dirty_run_is_its_snapshot(project: Path, git: Git) -> None:
    first = made()
    change_everything(project)
    kept = snapshot(made(), git)
    assert short(code(first, kept)) == EVERYTHING
    assert code(kept).same is True, "the worktree is what the snapshot holds"
    incomplete = tagged(kept, git_snapshot_incomplete='["sub"]')
    assert code(incomplete).same is None and "lacks sub" in code(incomplete).notes[0]
    committed(git, "as it ran")
    assert code(kept, made()).same is True
    assert code(without(kept, "git.snapshot"), made()).same is True, "its tree is in a commit now"


def test_the_providers_own_snapshot_is_compared(project: Path, git: Git) -> None:
    first = made()
    change_everything(project)
    git("add", "new\nline.py")
    run = made()
    assert run.dirty and run.snapshot and run.tree
    assert short(code(first, run)) == EVERYTHING
    git("reset", "-q", "--hard")
    (project / "net.py").unlink(missing_ok=True)
    assert len(code(run).files) == len(EVERYTHING)
    assert code(first).same is True


def test_the_worktree_is_what_lies_on_disk(project: Path, git: Git) -> None:
    run = made()
    assert code(run).same is True
    change_everything(project)
    assert short(code(run)) == EVERYTHING
    git("add", "train.py", "net.py")
    (project / "train.py").write_text("3\n")
    expected = [one if one[2] != "train.py" else ("changed", None, "train.py", 1, 4)
                for one in EVERYTHING]  # fmt: skip
    assert short(code(run)) == expected
