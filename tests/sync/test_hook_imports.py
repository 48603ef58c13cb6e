"""What a hook imports: every Git command waits for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CHECKOUT, Git
from versions import TWO, data_in


def imported(code: str) -> set[str]:
    """Return the modules that the code imports, where nothing else has imported any before."""
    code = f"import sys; {code}; print(*sys.modules)"
    done = subprocess.run(
        # Without -S the development environment imports modules at every start.
        [sys.executable, "-S", "-c", code], env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.split())


def test_a_hook_imports_nothing_that_it_could_do_without(
    versions: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of these takes longer to import than ten files to put in place."""
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_DVC_SKIP_HOOKS", "1")
        git("checkout", "-q", "two")
    found = imported("from mlflow_dvc_plugin.hook import main; main(['post-checkout'])")
    assert "mlflow_dvc_plugin.sync.engine" in found
    assert not found & {"click", "dataclasses", "dvc", "git", "inspect", "mlflow", "pathlib",
                        "shutil", "tempfile", "urllib.parse", "yaml"}  # fmt: skip
    assert data_in(versions) == TWO


def test_what_is_done_before_the_imports_needs_none() -> None:
    """The early look, and the answer to a commit that changes no data."""
    found = imported(
        "import mlflow_dvc_plugin.hook; from mlflow_dvc_plugin.sync import early, quick; "
        "from mlflow_dvc_plugin.capture import fingerprint"
    )
    assert "mlflow_dvc_plugin.capture.fingerprint" in found
    assert not found & {"collections", "contextlib", "json", "re", "subprocess", "typing"}
