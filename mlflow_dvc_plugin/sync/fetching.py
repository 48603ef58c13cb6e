"""Fetch data that is not in the cache, with DVC's own command and progress bar."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from mlflow_dvc_plugin.provenance import Output
from mlflow_dvc_plugin.sync.worktree import Repository

_AT_ONCE = 500


def fetch(repository: Repository, outputs: Sequence[Output]) -> None:
    """Ask DVC for the outputs; what it could not bring is seen when the cache is looked at."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    top = repository.repo.toplevel
    for start in range(0, len(outputs), _AT_ONCE):
        targets = [os.path.join(top, out.path) for out in outputs[start : start + _AT_ONCE]]
        command = [sys.executable, "-m", "dvc", "fetch", "--", *targets]
        subprocess.run(
            command, cwd=repository.repo.root, env=env, stdin=subprocess.DEVNULL,
            stdout=sys.stderr, check=False,
        )  # fmt: skip
