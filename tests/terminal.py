"""Run the command where a person would: with a terminal for standard error."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Seen(NamedTuple):
    """What the command answered, and what was drawn on the terminal."""

    code: int
    out: bytes
    drawn: bytes


def on_terminal(*args: str, out_too: bool = False) -> Seen:
    """Run `mlflow-dvc *args`; ``out_too``: the results go to the terminal as well."""
    return watched([sys.executable, "-m", "mlflow_dvc_plugin.cli", *args], out_too=out_too)


def watched(command: list[str], *, cwd: Path | None = None, out_too: bool = False) -> Seen:
    """Run a command with a terminal for standard error."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "200"}
    stdout = theirs if out_too else subprocess.PIPE
    with subprocess.Popen(command, cwd=cwd, stdout=stdout, stderr=theirs, env=env) as process:
        os.close(theirs)
        drawn = b""
        with suppress(OSError):  # a terminal's way of saying that the other end is closed
            while part := os.read(ours, 4096):
                drawn += part
        os.close(ours)
        out = process.stdout.read() if process.stdout else b""
    return Seen(process.returncode, out, drawn)
