"""Stashes with untracked metadata: Git calls no hook of ours when that goes, or has come back."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Dvc, Git
from versions import ONE, TWO, count_starts, data_in, git_says, sync, write_data

MORE = "data/more.csv"


@pytest.fixture
def more(versions: Path, dvc: Dvc) -> Path:
    """Add a new output, of which Git knows nothing yet."""
    (versions / MORE).write_text("more\n")
    dvc("add", "--quiet", MORE)
    return versions


def test_stashed_untracked_metadata_takes_its_data_along_once_that_is_in_the_cache(
    more: Path, git: Git
) -> None:
    git("stash", "-q", "-u")
    assert data_in(more) == ONE
    git("stash", "pop", "-q")
    assert data_in(more) == ONE | {MORE: "more\n"}


def test_data_of_stashed_metadata_stays_when_the_cache_has_not_its_bytes(more: Path) -> None:
    (more / MORE).unlink()
    (more / MORE).write_text("only here\n")
    said = git_says("stash", "-q", "-u")
    assert f"{MORE} stays as it is: it has changes that are in no cache" in said
    assert (more / MORE).read_text() == "only here\n"
    git_says("stash", "pop", "-q")
    assert (more / MORE).read_text() == "only here\n"


def test_a_branch_made_from_a_stash_has_its_data(versions: Path, git: Git, dvc: Dvc) -> None:
    write_data(versions, TWO | {MORE: "more\n"})
    dvc("add", "--quiet", "data/train.csv", "data/images", MORE)
    git("stash", "-q", "-u")
    assert data_in(versions) == ONE
    git("checkout", "-q", "two")
    assert data_in(versions) == TWO
    git("stash", "branch", "from-stash")
    assert data_in(versions) == TWO | {MORE: "more\n"}
    git("stash", "list")


def test_a_stash_without_new_metadata_starts_no_python(versions: Path, git: Git) -> None:
    noted = count_starts(versions)
    (versions / "code.py").write_text("2\n")
    (versions / "new.py").write_text("1\n")
    for args in ((), ("-u",)):
        git("stash", "-q", *args)
        git("stash", "pop", "-q")
    assert noted.read_text() == ""


def test_what_came_out_of_a_stash_can_be_stashed_again(more: Path, git: Git) -> None:
    for _ in range(2):
        git("stash", "-q", "-u")
        assert data_in(more) == ONE
        git("stash", "pop", "-q", "--index")
        assert data_in(more) == ONE | {MORE: "more\n"}
    git("checkout", "-q", "main~1")
    assert data_in(more) == ONE | {MORE: "more\n"}
    assert sync()[0] == 0
