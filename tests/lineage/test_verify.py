"""A run is reproducible when all of its code and data is on remotes, and not a moment before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import Dvc, Git

from lineage.making import made
from lineage.verifying import Verify, object_in


def test_a_run_that_is_only_on_this_machine_says_so_until_it_is_pushed(
    repo: Path, verify: Verify, git: Git, tracking_sqlite: str
) -> None:
    run = made()
    assert verify(run.run_id) == (0, "only here", "there is no Git remote")
    assert verify(run.run_id, "--require", "reproducible")[0] == 1
    git("init", "-q", "--bare", "../origin.git")
    git("remote", "add", "origin", "../origin.git")
    assert verify(run.run_id) == (0, "only here", "it is on no Git remote")
    git("push", "-q", "origin", "main")
    assert verify(run.run_id, "--require", "reproducible") == (0, "reproducible", "")


def test_data_that_is_in_no_place_breaks_its_run(
    repo: Path, verify: Verify, origin: Path, tracking_sqlite: str
) -> None:
    run = made()
    value = run.tags["dvc.data.train.csv"]
    object_in(repo.parent / "remote", value).unlink()
    assert verify(run.run_id) == (0, "only here", "it is not on DVC remote 'local'")
    cached = object_in(repo / ".dvc/cache", value)
    cached.chmod(0o644)
    cached.write_text("x,y\n9,9\n3,4\n")
    code, verdict, why = verify(run.run_id)
    assert (code, verdict) == (1, "broken") and "damaged in the cache" in why
    cached.unlink()
    code, verdict, why = verify(run.run_id)
    assert (code, verdict) == (1, "broken") and "not in the cache" in why
