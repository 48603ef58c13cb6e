"""`mlflow-dvc hooks status`: the hooks that were asked for, and what the last sync left undone."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import Dvc, Git
from versions import git_says, sync

from mlflow_dvc_plugin.cli import main
from mlflow_dvc_plugin.sync.events import EVENTS

from .test_install import plain

__all__ = ["plain"]


@pytest.fixture
def status(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run `hooks status --json`; return the exit code and the answer."""

    def run() -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        code = main(["hooks", "status", "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run


def by_event(answer: dict[str, Any]) -> dict[str, str]:
    return {one["event"]: one["state"] for one in answer["hooks"]}


@pytest.mark.usefixtures("plain")
def test_only_the_events_that_were_asked_for_count(status: Any) -> None:
    assert main(["install", "--dry-run", "--event", "pre-push"]) == 0
    assert set(by_event(status()[1]).values()) == {"absent"}
    assert main(["install", "--event", "pre-push"]) == 0
    assert main(["install", "--event", "pre-commit"]) == 0
    code, answer = status()
    unasked = dict.fromkeys(EVENTS, "unasked")
    assert by_event(answer) == unasked | {"pre-commit": "current", "pre-push": "current"}
    assert (code, answer["ok"]) == (0, True)
    Path(".git/hooks/pre-push").write_text("#!/bin/sh\n")  # another tool does this
    code, answer = status()
    assert (code, by_event(answer)["pre-push"]) == (1, "absent")
    assert main(["install"]) == 0
    Path(".git/hooks/post-merge").unlink()
    assert status()[0] == 1
    assert main(["install", "--event", "pre-push"]) == 0, "one more refreshed"
    code, answer = status()
    assert (code, by_event(answer)["post-merge"]) == (1, "absent")


@pytest.mark.usefixtures("plain")
def test_uninstall_forgets_what_was_asked_for(status: Any) -> None:
    assert main(["install", "--event", "pre-push"]) == 0
    assert main(["uninstall"]) == 0
    code, answer = status()
    assert (code, set(by_event(answer).values())) == (1, {"absent"})
    assert not Path(".git/mlflow-dvc").exists()


@pytest.fixture
def installed(versions: Path) -> Path:
    shutil.rmtree(versions / ".git/hooks")  # scripts without a digest, as they are in the checkout
    assert main(["install"]) == 0
    return versions


def test_what_a_sync_could_not_do_is_named_until_it_is_mended(
    installed: Path, dvc: Dvc, status: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status()[1]["problems"] == []
    cache, saved = installed / ".dvc/cache/files/md5", installed.parent / "saved"
    cache.rename(saved)
    git_says("checkout", "--quiet", "two")
    code, answer = status()
    assert (code, answer["ok"]) == (0, True), "the hooks are fine"
    found = {one["path"]: one for one in answer["problems"]}
    assert set(found) == {"data/train.csv", "data/images"}
    assert found["data/images"]["hint"] == "dvc pull data/images"
    assert main(["hooks", "status"]) == 0
    assert "not in sync: data/images is not in sync" in capsys.readouterr().out
    shutil.copytree(saved, cache, dirs_exist_ok=True)
    dvc("checkout", "--quiet", "data/images")  # as dvc pull does, without any Git event
    (problem,) = status()[1]["problems"]
    assert problem == {
        "path": "data/train.csv",
        "text": "data/train.csv is not in sync: it would be updated now",
        "hint": "mlflow-dvc sync",
    }
    assert sync()[0] == 0
    assert status()[1]["problems"] == []


def test_a_sync_that_could_not_begin_is_named_until_one_does(
    installed: Path, git: Git, status: Any
) -> None:
    scratch = installed / ".git/mlflow-dvc/index.new"
    scratch.mkdir()
    (scratch / "in the way").touch()
    command = ["git", "checkout", "two"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "the data was not looked at" in done.stderr
    (problem,) = status()[1]["problems"]
    assert "the data was not looked at" in problem["text"]
    shutil.rmtree(scratch)
    paths = [one["path"] for one in status()[1]["problems"]]
    assert paths == ["data/images", "data/train.csv"]
    assert sync()[0] == 0
    assert status()[1]["problems"] == []
