"""Ask `mlflow-dvc verify`, and the places that it asks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

import pytest
from conftest import Git

from mlflow_dvc_plugin.cli import main


class Verify(Protocol):
    """Run `mlflow-dvc verify *args`; return exit code, verdict and the reason of one run."""

    def __call__(self, *args: str) -> tuple[int, str, str]: ...


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


def object_in(folder: Path, value: str) -> Path:
    """Return where a cache or a local remote keeps the object."""
    return folder / "files/md5" / value[:2] / value[2:]


def use_bucket(repo: Path, url: str, endpoint: str, key: str, secret: str, **more: str) -> None:
    """Make a bucket the project's default DVC remote, in its local settings."""
    settings = {"url": url, "endpointurl": endpoint, "region": "us-east-1"}
    settings |= {"access_key_id": key, "secret_access_key": secret} | more
    lines = "".join(f"    {name} = {value}\n" for name, value in settings.items())
    (repo / ".dvc/config.local").write_text(
        f"[core]\n    remote = far\n['remote \"far\"']\n{lines}"
    )


def put(folder: Path, cache: Path, values: list[str]) -> None:
    """Copy objects of a cache into a remote on disk, or the folder of a bucket."""
    for value in values:
        there = object_in(folder, value)
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(object_in(cache, value).read_bytes())
