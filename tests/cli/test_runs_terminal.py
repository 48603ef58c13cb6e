"""`mlflow-dvc runs` says how far it is, to people only."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from conftest import Git
from lineage.making import made
from terminal import on_terminal


def test_searching_runs_shows_a_bar_on_standard_error_only(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    run = made()
    git("commit", "-q", "--allow-empty", "-m", "more")
    seen = on_terminal("runs", "HEAD~1..HEAD")
    assert seen.code == 0
    assert b"commits" in seen.drawn and b"searching runs, page" in seen.drawn
    assert run.run_id[:8].encode() in seen.out and b"searching" not in seen.out
    seen = on_terminal("runs", "HEAD~1", "--sort", "loss")
    assert seen.code == 0 and b"searching runs, page" in seen.drawn
    assert run.run_id[:8].encode() in seen.out and b"\x1b" not in seen.out


def test_histories_and_listings_have_one_too(repo: Path, tracking_sqlite: str) -> None:
    run = made()
    shutil.rmtree(repo / ".dvc/cache")
    seen = on_terminal("runs", "data/images/cat.png")
    assert seen.code == 0 and run.run_id[:8].encode() in seen.out
    for work in (b"reading the history", b"reading directory listings", b"searching runs, page"):
        assert work in seen.drawn and work not in seen.out
    assert b"\x1b" not in seen.out


def test_the_bar_is_gone_while_results_are_printed(repo: Path, tracking_sqlite: str) -> None:
    run = made()
    seen = on_terminal("runs", "data/images/cat.png", out_too=True)
    assert seen.code == 0
    table = seen.drawn[seen.drawn.index(b"experiment") :]
    assert run.run_id[:8].encode() in table and b"searching" not in table


def test_json_through_a_pipe_has_no_bar(repo: Path, tracking_sqlite: str) -> None:
    made()
    seen = on_terminal("runs", "HEAD", "--json")
    assert (seen.code, seen.drawn) == (0, b"")
    assert len(json.loads(seen.out)["runs"]) == 1
    seen = on_terminal("runs", "HEAD", "--json", out_too=True)
    assert b"searching runs, page" in seen.drawn
