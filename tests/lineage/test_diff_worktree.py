"""The code on disk now, as a tree: whatever the index, the filters and the folders look like."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import Git

from lineage.making import made
from lineage.test_diff_code import (
    EVERYTHING,
    change_everything,
    code,
    committed,
    project,
    short,
    snapshot,
)  # fmt: skip
from mlflow_dvc_plugin.gitdir import require_worktree
from mlflow_dvc_plugin.lineage.codenow import worktree_tree

__all__ = ["project"]  # a fixture


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


def test_changes_inside_a_submodule_are_no_proof_of_the_same(
    project: Path, git: Git, tmp_path: Path
) -> None:
    git("init", "-q", str(tmp_path / "library"))
    (tmp_path / "library/lib.py").write_text("1\n")
    git("add", "-A", cwd=tmp_path / "library")
    git("commit", "-qm", "lib", cwd=tmp_path / "library")
    git("submodule", "--quiet", "add", str(tmp_path / "library"), "lib")
    committed(git, "library")
    run = made()
    assert code(run).same is True
    (project / "lib/lib.py").write_text("2\n")
    found = code(run)
    assert found.files == () and found.same is None
    assert found.notes == ("here: lib: it holds changes of its own",)
    git("commit", "-qam", "newer", cwd=project / "lib")
    assert [(one.kind, one.path) for one in code(run).files] == [("changed", "lib")]


def test_what_gits_clean_filters_take_away_is_no_difference(project: Path, git: Git) -> None:
    git("config", "filter.strip.clean", "grep -v output")
    git("config", "filter.strip.smudge", "cat")
    (project / ".gitattributes").write_text("*.ipynb filter=strip\n*.txt text eol=crlf\n")
    (project / "book.ipynb").write_text("source\n")
    (project / "lines.txt").write_bytes(b"1\r\n2\r\n")
    committed(git, "book")
    run = made()
    (project / "book.ipynb").write_text("source\noutput 42\n")
    os.utime(project / "lines.txt", (1, 1))
    assert code(run).same is True
    (project / "book.ipynb").write_text("other\noutput 42\n")
    assert short(code(run)) == [("changed", None, "book.ipynb", 1, 1)]


def test_a_large_file_that_git_does_not_track_any_more_is_not_read(project: Path, git: Git) -> None:
    (project / "table.csv").write_bytes(b"1,2\n" * 300_000)
    committed(git, "table")
    run = made()
    git("rm", "-q", "--cached", "table.csv")
    (project / ".git/info/exclude").write_text("table.csv\n")
    found = code(run)
    assert found.files == () and found.same is None
    assert found.notes == ("here: table.csv: too large to be compared",)
    (project / "train.py").write_text("1\n")
    found = code(run, patch=True)
    assert [one.path for one in found.files] == ["train.py"]
    assert found.patch.count(b"diff --git") == 1 and b"table.csv" not in found.patch
