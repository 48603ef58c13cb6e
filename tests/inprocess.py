"""Run the command in this process: a new one takes seconds to import MLflow."""

from __future__ import annotations

import os
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from mlflow_dvc_plugin.cli import main


def mlflow_dvc(*args: str, cwd: Path | None = None) -> tuple[int, str, str]:
    """Return the exit code, standard output and standard error of `mlflow-dvc *args`."""
    before = os.getcwd()
    os.chdir(cwd or before)
    try:
        # Files, as DVC asks for their numbers.
        with TemporaryFile("w+", newline="") as out, TemporaryFile("w+", newline="") as err:
            with redirect_stdout(out), redirect_stderr(err):
                code = main(args)
            return code, _content(out), _content(err)
    finally:
        os.chdir(before)


def _content(file: IO[str]) -> str:
    file.seek(0)
    return file.read()
