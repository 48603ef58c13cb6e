"""What a person sees of `mlflow-dvc verify`."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from lineage.making import made
from lineage.verifying import object_in
from mlflow_dvc_plugin.cli import main


def test_long_work_shows_a_bar_on_standard_error_only(
    repo: Path, origin: Path, tracking_sqlite: str
) -> None:
    made()
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "mlflow_dvc_plugin.cli", "verify", "--all"]
    env = {**os.environ, "TERM": "xterm"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=env) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # a terminal's way of saying that the other end is closed
            while part := os.read(ours, 4096):
                shown += part
        os.close(ours)
        assert process.stdout is not None
        out = process.stdout.read()
    assert process.returncode == 0
    assert b"looking for objects" in shown and b"looking for objects" not in out
    assert b"1 run: 1 reproducible" in out and b"\x1b" not in out


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
