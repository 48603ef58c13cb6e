"""Run the command in this process: a new one takes seconds to import MLflow."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from mlflow_dvc_plugin.cli import main


def mlflow_dvc(*args: str, cwd: Path | None = None) -> tuple[int, str, str]:
    """Return the exit code, standard output and standard error of `mlflow-dvc *args`."""
    before, out, err = os.getcwd(), io.StringIO(), io.StringIO()
    os.chdir(cwd or before)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = main(args)
    finally:
        os.chdir(before)
    return code, out.getvalue(), err.getvalue()
