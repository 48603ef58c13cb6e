"""What is not here is said to be unknown, and the rest of the comparison still works."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Git

from lineage.making import made
from lineage.test_diff_code import code, committed, short, tagged, without
from mlflow_dvc_plugin.lineage.diff import diff
from mlflow_dvc_plugin.lineage.record import Record

COMMIT = "mlflow.source.git.commit"


@pytest.fixture
def two(versions: Path, tracking_sqlite: str, git: Git) -> tuple[Record, Record]:
    """Return a run on each of the branches `main` and `two`."""
    first = made()
    git("checkout", "-q", "two")
    return first, made()


def at(run: Record, commit: str) -> Record:
    return without(replace(run, tags={**run.tags, COMMIT: commit}), "git.tree")


def test_a_dirty_tree_that_was_not_kept_leaves_the_rest(two: tuple[Record, Record]) -> None:
    first, second = two
    dirty = without(tagged(first, git_dirty="true"), "git.tree")
    found = diff(dirty, second)
    assert found.code and found.code.unknown == (
        "first: it was made from a dirty tree, and its tree was not kept"
    )
    assert found.code.only == (1, 2) and found.code.same is None
    assert found.data and len(found.data.outputs) == 2
    away = tagged(dirty, git_snapshot="1" * 40)
    assert code(away, second).unknown == "first: its snapshot 1111111111 is not here"
    assert code(second, away).unknown.startswith("second: ")


def test_a_commit_that_is_not_here_is_named_with_what_mends_it(
    two: tuple[Record, Record],
) -> None:
    first, second = two
    found = diff(at(first, "0" * 40), second)
    assert found.code and "git fetch --all" in found.code.unknown and found.code.only is None
    assert found.data and len(found.data.outputs) == 2
    assert found.params == {} and found.metrics == {}
    assert "carries no commit" in code(without(first, COMMIT, "git.tree"), second).unknown


def test_a_shallow_clone_compares_what_it_has_and_counts_nothing(
    two: tuple[Record, Record], versions: Path, git: Git, tmp_path: Path
) -> None:
    first, second = two
    git("clone", "-q", "--depth=1", "--branch=two", versions.as_uri(), str(tmp_path / "shallow"))
    os.chdir(tmp_path / "shallow")
    assert "git fetch --unshallow" in code(without(first, "git.tree"), second).unknown
    git("fetch", "-q", "--depth=1", "origin", "main")
    found = code(first, second)
    assert found.files and not found.unknown and found.only is None


def test_a_commit_that_a_rebase_took_away_is_compared_while_git_still_has_it(
    versions: Path, tracking_sqlite: str, git: Git
) -> None:
    (versions / "code.py").write_text("before\n")
    committed(git, "before")
    run = made()
    (versions / "code.py").write_text("after\n")
    git("commit", "-qa", "--amend", "-m", "after")
    found = code(run)
    assert short(found) == [("changed", None, "code.py", 1, 1)] and found.only == (1, 1)
    git("reflog", "expire", "--expire=now", "--all")
    git("gc", "-q", "--prune=now")
    assert "is not here" in code(run).unknown


def test_nobody_saw_the_tree_of_a_run_that_was_tagged_later(two: tuple[Record, Record]) -> None:
    first, second = two
    later = without(first, "git.dirty", "git.tree", "mlflow.source.git.dirty")
    assert code(later, second).same is False
    found = code(later, first)
    assert found.files == () and found.same is None and "nobody saw" in found.notes[0]


@pytest.mark.parametrize("text", ["--output=pwned", "HEAD", "-p", "0" * 39, "$(touch pwned)"])
def test_a_tag_is_no_option_and_no_name_for_git(
    two: tuple[Record, Record], versions: Path, text: str
) -> None:
    odd = tagged(two[0], git_tree=text, git_snapshot=text)
    odd = replace(odd, tags={**odd.tags, COMMIT: text, "dvc.rev": text})
    found = diff(odd, two[1])
    assert found.code and "carries no commit" in found.code.unknown
    assert found.data is not None and not list(versions.rglob("*pwned*"))


def test_the_users_settings_of_git_change_nothing(
    two: tuple[Record, Record], versions: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    (versions / ".git/info/attributes").write_text("*.py diff=odd\n")
    plain = code(*two, patch=True)
    worktree = code(two[0], patch=True)
    for name, value in {
        "diff.external": "false", "diff.odd.textconv": "false", "diff.odd.command": "false",
        "color.ui": "always", "color.diff": "always", "diff.renames": "false",
        "diff.noprefix": "true", "diff.mnemonicPrefix": "true", "diff.context": "0",
        "diff.orderFile": "nowhere", "diff.wordRegex": ".", "diff.algorithm": "patience",
        "diff.suppressBlankEmpty": "true", "diff.relative": "true", "core.quotePath": "false",
        "log.showSignature": "true", "log.decorate": "full", "log.follow": "true",
        "core.pager": "false", "diff.submodule": "log", "diff.interHunkContext": "9",
        "i18n.logOutputEncoding": "UTF-16", "log.date": "raw", "format.pretty": "fuller",
    }.items():  # fmt: skip
        git("config", "--global", name, value)
    monkeypatch.setenv("GIT_DIFF_OPTS", "--unified=0")
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    os.chdir(versions / "data")
    assert plain.patch and plain.commits
    assert code(*two, patch=True) == plain
    assert code(two[0], patch=True) == worktree


def test_without_a_repository_parameters_and_metrics_are_compared(
    two: tuple[Record, Record], tmp_path: Path
) -> None:
    os.chdir(tmp_path / "empty")
    first, second = two
    found = diff(replace(first, params={"lr": "1"}), second)
    assert found.code and found.code.unknown == "this is no Git worktree"
    assert found.data and [one.path for one in found.data.outputs] == [
        "data/images", "data/train.csv",
    ]  # fmt: skip
    assert "there is no DVC repository here" in found.data.outputs[0].note
    assert found.params == {"lr": ("1", None)} and found.same is False


def test_metrics_that_are_not_numbers_in_both_runs_are_the_same(
    two: tuple[Record, Record],
) -> None:
    nan = [replace(run, metrics={"loss": float("nan"), "acc": 0.5}) for run in two]
    assert diff(nan[0], nan[1], parts=["metrics"]).same is True
    other = replace(nan[1], metrics={"loss": 0.0})
    found = diff(nan[0], other, parts=["metrics"]).metrics
    assert found and list(found) == ["acc", "loss"] and found["acc"] == (0.5, None)
