"""What a person sees of `mlflow-dvc verify`."""

from __future__ import annotations

from pathlib import Path

import pytest
from terminal import on_terminal

from lineage.making import made
from lineage.verifying import object_in
from mlflow_dvc_plugin.cli import main


def test_long_work_shows_a_bar_on_standard_error_only(
    repo: Path, origin: Path, tracking_sqlite: str
) -> None:
    made()
    seen = on_terminal("verify", "--all")
    assert seen.code == 0
    assert b"looking for objects" in seen.drawn and b"looking for objects" not in seen.out
    assert b"1 run: 1 reproducible" in seen.out and b"\x1b" not in seen.out


def test_things_with_the_same_trouble_are_told_together(
    repo: Path, tracking_sqlite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = made("odd\x1b[2Jname")
    for value in (run.tags["dvc.data.train.csv"], run.tags["dvc.data.images"]):
        object_in(repo.parent / "remote", value).unlink()
        object_in(repo / ".dvc/cache", value).unlink()
    capsys.readouterr()
    assert main(["verify", run.run_id]) == 1
    out, err = capsys.readouterr()
    assert "data/images and 1 more: it is not on DVC remote 'local', and not in the" in out
    assert "0 of 2 on the remote, 0 here" in out and "\x1b[2J" not in out
    assert "hint: dvc push, where the data still is" in err
