from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from conftest import CHECKOUT


@pytest.mark.slow
def test_the_sklearn_example_does_what_its_readme_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracking_sqlite: str
) -> None:
    pytest.importorskip("sklearn")
    folder = tmp_path / "sklearn"
    shutil.copytree(CHECKOUT / "examples/sklearn", folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    readme = (folder / "README.md").read_text()
    (steps,) = re.findall(r"^```sh\n(.*?)\nmlflow ui\n```$", readme, re.MULTILINE | re.DOTALL)
    _run(steps)
    _run("sed -i 's/trees: 20/trees: 30/' params.yaml && dvc repro --quiet")
    _run("sed -i 's/test_share: 0.2/test_share: 0.3/' params.yaml && dvc repro --quiet")
    runs = mlflow.search_runs(order_by=["attributes.start_time ASC"], output_format="list")
    tags = [run.data.tags for run in runs]
    assert [one["dvc.stage"] for one in tags] == ["train"] * 3
    assert [one["git.dirty"] for one in tags] == ["false", "true", "true"]
    assert set(re.findall(r'"([^"]+)":', tags[0]["dvc.manifest"])) == {
        "prepared/train.csv", "prepared/test.csv"
    }  # fmt: skip
    assert tags[0]["dvc.hash"] == tags[1]["dvc.hash"] != tags[2]["dvc.hash"]


def _run(script: str) -> None:
    done = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
