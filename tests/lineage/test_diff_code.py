"""The code of two runs, or of a run and the worktree, as trees beside each other."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Git

from lineage.making import made
from mlflow_dvc_plugin.gitdir import require_worktree
from mlflow_dvc_plugin.lineage.codediff import CodeDiff
from mlflow_dvc_plugin.lineage.codenow import worktree_tree
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
    assert code(incomplete).same is None and '["sub"]' in code(incomplete).notes[0]
    committed(git, "as it ran")
    assert code(kept, made()).same is True
    assert code(without(kept, "git.snapshot"), made()).same is True, "its tree is in a commit now"


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


def test_nothing_in_the_repository_is_written_to_look_at_the_worktree(
    project: Path, git: Git
) -> None:
    run = made()
    change_everything(project)
    hook = project / ".git/hooks/post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {project}/hook-ran\n")
    hook.chmod(0o755)
    before = state(project)
    assert code(run, patch=True).patch
    assert state(project) == before


def state(project: Path) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes()
        for path in project.rglob("*")
        if path.is_file() and ".dvc/tmp" not in str(path)
    }


def test_only_untracked_files_that_are_code_count(project: Path, git: Git) -> None:
    (project / ".gitignore").write_text("ignored.py\n")
    committed(git, "ignore")
    run = made()
    for name in ("notes.txt", "mlflow.db", "ignored.py", ".env.py", "credentials.json",
                 "mlruns/0/meta.yaml", "nested/code.py"):  # fmt: skip
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("1\n")
    git("init", "-q", "nested")
    assert code(run).same is True
    (project / "big.py").write_text("#" * (1 << 20) + "\n")
    assert code(run).same is None and "big.py" in code(run).notes[0]
    (project / "helper.py").write_text("1\n")
    assert short(code(run)) == [("added", None, "helper.py", 1, 0)]


def test_a_file_that_the_run_had_counts_even_when_git_ignores_it_now(
    project: Path, git: Git
) -> None:
    (project / "notes.txt").write_text("1\n")
    kept = snapshot(made(), git)
    (project / ".git/info/exclude").write_text("notes.txt\n")
    assert code(kept).same is True
    (project / "notes.txt").write_text("2\n")
    assert short(code(kept)) == [("changed", None, "notes.txt", 1, 1)]


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_what_the_index_hides_from_git_status_is_compared(
    project: Path, git: Git, flag: str
) -> None:
    run = made()
    git("update-index", flag, "train.py")
    assert code(run).same is True
    (project / "train.py").write_text("other\n")
    assert short(code(run)) == [("changed", None, "train.py", 1, 4)]


def test_files_that_a_sparse_checkout_leaves_out_are_not_removed(project: Path, git: Git) -> None:
    (project / "far").mkdir()
    (project / "far/away.py").write_text("1\n")
    committed(git, "far")
    run = made()
    git("sparse-checkout", "set", "--no-cone", "/*", "!/far")
    assert not (project / "far").exists()
    assert code(run).same is True


def test_folders_links_and_files_that_took_each_others_place(project: Path, git: Git) -> None:
    (project / "pkg").mkdir()
    (project / "pkg/a.py").write_text("a\n")
    (project / "flat.py").write_text("flat\n")
    (project / "lib").mkdir()
    (project / "lib/b.py").write_text("b\n")
    committed(git, "folders")
    run = made()
    (project / "pkg/a.py").unlink()
    (project / "pkg").rmdir()
    (project / "pkg").symlink_to("lib")
    (project / "flat.py").unlink()
    (project / "flat.py").mkdir()
    (project / "flat.py/inner.py").write_text("inner\n")
    found = {(one.kind, one.path) for one in code(run).files}
    assert found >= {("removed", "pkg/a.py"), ("removed", "flat.py"), ("added", "flat.py/inner.py")}
    assert code(run).unknown == ""


def test_during_a_merge_with_conflicts_the_files_on_disk_count(project: Path, git: Git) -> None:
    run = made()
    for branch, text in (("left", "1\n"), ("right", "2\n")):
        git("checkout", "-q", "-B", branch, "main")
        (project / "old.py").write_text(f"left\n{text}")
        committed(git, branch)
    with pytest.raises(AssertionError):
        git("merge", "-q", "left")
    (found,) = code(run).files
    assert (found.kind, found.path) == ("changed", "old.py")


@pytest.mark.parametrize("setting", ["core.splitIndex", "core.untrackedCache"])
def test_other_forms_of_the_index(project: Path, git: Git, setting: str) -> None:
    run = made()
    git("config", setting, "true")
    git("update-index", "--split-index" if "split" in setting else "--untracked-cache")
    change_everything(project)
    assert short(code(run)) == EVERYTHING


def test_a_linked_worktree_of_a_repository_with_an_odd_name(
    project: Path, git: Git, tmp_path: Path
) -> None:
    run = made()
    odd, linked = tmp_path / 'odd: "one"', tmp_path / "linked"
    git("clone", "-q", str(project), str(odd))
    git("worktree", "add", "-q", str(linked), cwd=odd)
    for folder in (odd, linked):
        os.chdir(folder)
        change_everything(folder)
        with worktree_tree(require_worktree(str(folder))) as tree:
            assert tree.id != git("rev-parse", "HEAD^{tree}")
        assert short(code(run)) == EVERYTHING
