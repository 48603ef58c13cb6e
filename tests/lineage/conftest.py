"""Ask `mlflow-dvc verify`, and a Git remote for it to ask."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Git

from lineage.verifying import Verify
from mlflow_dvc_plugin.cli import main


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]) -> Verify:
    def run(*args: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["verify", *args, "--json"])
        out, err = capsys.readouterr()
        if not out:
            return code, "error", err
        (one,) = json.loads(out)["runs"]
        reasons = [
            promise["reason"] or ""
            for promise in one["promises"]
            if promise["verdict"] == one["verdict"] != "reproducible"
        ]
        return code, one["verdict"], "; ".join(reasons)

    return run


@pytest.fixture
def origin(repo: Path, git: Git) -> Path:
    """Make a Git remote `origin` that has the project's branch."""
    bare = repo.parent / "origin.git"
    git("init", "-q", "--bare", str(bare))
    git("remote", "add", "origin", str(bare))
    git("push", "-q", "origin", "main")
    return bare


@pytest.fixture
def apart(repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a repository for code alone beside the data's, and go there."""
    code = repo.parent / "code"
    code.mkdir()
    git("init", "-q", cwd=code)
    (code / "train.py").write_text("code\n")
    git("add", "-A", cwd=code)
    git("commit", "-qm", "code", cwd=code)
    monkeypatch.chdir(code)
    return code
