"""Git operations that stop half way, or go through many versions: bytes compared at each stop."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Dvc, Git
from versions import ONE, TWO, count_starts, data_in, git_says, number, refused, write_data

SHOW = "exec cat data/train.csv >> ../seen"


def rebase(monkeypatch: pytest.MonkeyPatch, edit: str, *args: str) -> None:
    """Run `git rebase -i`; ``edit`` is a sed command for the list of what is to be done."""
    monkeypatch.setenv("GIT_SEQUENCE_EDITOR", f"sed -i '{edit}'")
    git_says("rebase", "-q", "-i", *(args or ("base",)))


def test_a_long_rebase_does_not_sync_at_every_pick(series: Path, git: Git) -> None:
    noted = count_starts(series)
    git("rebase", "-q", "base")
    assert data_in(series) == number(5)
    assert len(noted.read_text().splitlines()) == 1
    assert git("status", "--porcelain") == ""


@pytest.mark.parametrize("command", ["edit", "break"])
def test_the_data_is_right_where_a_rebase_stops(
    series: Path, git: Git, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    rebase(monkeypatch, {"edit": "2s/^pick/edit/", "break": "2abreak"}[command])
    assert data_in(series) == number(2)
    assert git("rev-parse", "HEAD~2") == git("rev-parse", "base")
    git("rebase", "--continue")
    assert data_in(series) == number(5)


def test_the_data_is_right_at_a_break_before_everything(
    series: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebase(monkeypatch, "1ibreak")
    assert data_in(series) == ONE
    git("rebase", "--continue")
    assert data_in(series) == number(5)


@pytest.mark.parametrize("between", ["", "# a remark\\n\\nlabel here\\nupdate-ref refs/heads/x\\n"])
def test_a_command_that_a_rebase_runs_sees_its_data(
    series: Path, git: Git, monkeypatch: pytest.MonkeyPatch, between: str
) -> None:
    rebase(monkeypatch, f"2a{between}{SHOW}\n4a{SHOW}")
    assert (series / "../seen").read_text() == "x,y\n2,2\nx,y\n4,4\n"
    assert data_in(series) == number(5)


def test_every_command_of_rebase_exec_sees_its_data(series: Path) -> None:
    git_says("rebase", "-q", "--exec", SHOW.removeprefix("exec "), "base")
    assert (series / "../seen").read_text() == "".join(f"x,y\n{n},{n}\n" for n in range(1, 6))
    assert data_in(series) == number(5)


@pytest.mark.parametrize(
    ("end", "expected"), [("--abort", number(5)), ("--skip", number(5)), ("--quit", number(2))]
)
def test_a_rebase_left_from_an_edit_stop(
    series: Path, git: Git, monkeypatch: pytest.MonkeyPatch, end: str, expected: dict[str, str]
) -> None:
    rebase(monkeypatch, "2s/^pick/edit/")
    git("rebase", end)
    assert data_in(series) == expected
    git("checkout", "-q", "main")
    assert data_in(series) == ONE


def test_changes_at_an_edit_stop_are_kept(
    series: Path, git: Git, dvc: Dvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebase(monkeypatch, "5s/^pick/edit/")
    write_data(series, number(9))
    dvc("add", "--quiet", "data/train.csv")
    git("commit", "-qa", "--amend", "--no-edit")
    git("rebase", "--continue")
    assert data_in(series) == number(9)


def test_a_rebase_goes_on_after_a_conflict(series: Path, git: Git) -> None:
    said = refused("rebase", "-q", "--onto", "two", "d1", "series")
    assert "data/train.csv.dvc cannot be read (merge conflict markers)" in said
    assert data_in(series) == TWO | {"data/train.csv": "x,y\n5,5\n"}
    git("checkout", "--theirs", "--", "data/train.csv.dvc")
    git("add", "data/train.csv.dvc")
    git("rebase", "--continue")
    assert data_in(series) == TWO | {"data/train.csv": "x,y\n5,5\n"}
    git("checkout", "-q", "HEAD~3")
    assert data_in(series) == TWO | {"data/train.csv": "x,y\n2,2\n"}


def test_the_data_is_right_at_every_step_of_a_bisect(series: Path, git: Git) -> None:
    git("bisect", "start", "series", "main")
    seen = []
    for _ in range(3):
        at = int(git("log", "-1", "--format=%s").removeprefix("data "))
        assert data_in(series) == number(at)
        seen.append(at)
        if "first bad commit" in git("bisect", "bad" if at >= 2 else "good"):
            break
    assert len(seen) >= 2
    git("bisect", "reset")
    assert data_in(series) == number(5)


def test_a_script_of_bisect_run_sees_the_data(series: Path, git: Git) -> None:
    script = series / "../check"
    script.write_text("#!/bin/sh\ncat data/train.csv >>../seen\n! grep -q '[45],' data/train.csv\n")
    script.chmod(0o755)
    git("bisect", "start", "series", "main")
    assert f"{git('rev-parse', 'd4')} is the first bad commit" in git("bisect", "run", "../check")
    git("bisect", "reset")
    assert data_in(series) == number(5)


def test_a_squash_merge_is_committed(versions: Path, git: Git) -> None:
    git("merge", "-q", "--squash", "two")
    git("commit", "-qm", "two, squashed")
    assert data_in(versions) == TWO
    git("reset", "-q", "--hard", "HEAD~1")
    assert data_in(versions) == ONE


@pytest.mark.parametrize(
    ("command", "end", "expected"),
    [
        ("merge -q two", "commit -q --no-edit", TWO),
        ("cherry-pick two~1", "cherry-pick --continue", TWO),
        ("revert --no-edit d4", "revert --continue", number(3)),
        ("merge -q two", "merge --abort", number(5)),
        ("cherry-pick two~1", "cherry-pick --abort", number(5)),
        ("revert --no-edit d4", "revert --abort", number(5)),
    ],
)
def test_a_conflict_that_is_resolved_or_left(
    series: Path, git: Git, command: str, end: str, expected: dict[str, str]
) -> None:
    assert "data/train.csv.dvc cannot be read" in refused(*command.split())
    assert (series / "data/train.csv").read_text() == number(5)["data/train.csv"]
    if "abort" not in end:
        git("checkout", "--theirs", "--", "data/train.csv.dvc")
        git("add", "data/train.csv.dvc")
    git(*end.split())
    assert data_in(series) == expected
    assert git("status", "--porcelain") == ""
