"""`mlflow-dvc backfill` shows what it would do, does it, and says what it cannot do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Git
from lineage.backfilling import old_run, ours, run
from terminal import on_terminal

from .conftest import Command

NOWHERE = "0123456789" * 4


def test_it_shows_counts_and_writes_only_when_told(
    repo: Path, git: Git, tracking_sqlite: str, command: Command
) -> None:
    runs = [old_run(git("rev-parse", "HEAD"), "train.py") for _ in range(2)]
    shown = command("backfill")
    assert shown.code == 0, shown.err
    assert "runs without tags: 2, from 1 commit\n" in shown.out
    assert "nothing is written; 2 runs would be by --apply" in shown.out
    assert ours(run(runs[0])) == {}
    done = command("backfill", "--apply", "--json")
    assert done.code == 0
    assert json.loads(done.out) == {
        "applied": True, "runs": 2, "commits": 1, "here": 2, "written": 2, "tagged_before": None,
        "not_here": {}, "unreadable": {}, "several_dvc_repositories": {}, "refused": {},
    }  # fmt: skip
    assert ours(run(runs[0]))["dvc.source"] == "backfill"
    again = command("backfill")
    assert "runs without tags: 0" in again.out and "tagged before: 2" in again.out
    assert "--apply" not in again.out


def test_commits_that_are_not_here_are_counted_and_named(
    repo: Path, git: Git, tracking_sqlite: str, command: Command
) -> None:
    old_run(NOWHERE)
    old_run(NOWHERE)
    for number in range(7):
        old_run(f"{number:x}" * 40)
    old_run("\x1b[31m")
    done = command("backfill", "--apply")
    assert done.code == 1
    assert "commit not here: 10, from 9 commits: 012345678901 (2 runs), " in done.out
    assert "4 more, see --json" in done.out and "\x1b" not in done.out
    assert done.err == "hint: git fetch --all\n"
    found = json.loads(command("backfill", "--json").out)
    assert found["not_here"][NOWHERE] == 2 and len(found["not_here"]) == 9


def test_without_a_repository_or_a_store_it_says_what_to_do(
    repo: Path, tracking_sqlite: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    done = command("backfill")
    assert done.code == 1 and "error: this is no Git worktree" in done.err and "hint:" in done.err
    monkeypatch.chdir(repo)
    done = command("backfill", "--experiment", "nobody's")
    assert done.code == 1 and "there is no experiment" in done.err
    assert command("backfill", "--limit", "0").code == 2
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{repo}/nowhere.db")
    done = command("backfill")
    assert done.code == 1 and "there is no tracking store" in done.err
    assert not (repo / "nowhere.db").exists()


def test_a_bar_is_drawn_on_a_terminal_and_the_result_stays_clean(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    old_run(git("rev-parse", "HEAD"))
    seen = on_terminal("backfill", "--json")
    assert seen.code == 0 and json.loads(seen.out)["runs"] == 1
    assert b"runs" in seen.drawn
