"""Run the command, in this process or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from mlflow_dvc_plugin.cli import main


class Done(NamedTuple):
    """What a command answered."""

    code: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `mlflow-dvc *args` in this process."""

    def run(*args: str) -> Done:
        capsys.readouterr()
        code = main(args)
        out, err = capsys.readouterr()
        return Done(code, out, err)

    return run


@pytest.fixture
def process() -> Command:
    """Run `mlflow-dvc *args` in a process of its own; libraries in `without` cannot be imported."""

    def run(*args: str, without: tuple[str, ...] = (), cwd: Path | None = None) -> Done:
        code = (
            f"import sys; sys.modules.update(dict.fromkeys({without!r}))\n"
            f"from mlflow_dvc_plugin.cli import main; sys.exit(main({list(args)!r}))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=cwd or os.getcwd(), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    return run
