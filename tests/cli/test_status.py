from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import pytest
from conftest import Dvc, Git, PythonIn
from tagrules import ours

from mlflow_dvc_plugin.cli.text import switched_off
from mlflow_dvc_plugin.context import DvcRunContext

from .conftest import Command

START = "import mlflow; r = mlflow.start_run(); print(r.info.run_id)"


@pytest.fixture
def status(command: Command) -> Any:
    def run(*args: str) -> tuple[int, dict[str, Any]]:
        done = command("status", "--json", *args)
        return done.code, json.loads(done.out)

    return run


@pytest.mark.parametrize("change", ["nothing", "code", "data", "untracked"])
def test_it_shows_exactly_the_tags_of_a_run(
    repo: Path, status: Any, python_in: PythonIn, tracking_sqlite: str, change: str
) -> None:
    file = {"code": "train.py", "data": "data/train.csv", "untracked": "new.txt"}.get(change)
    if file:
        (repo / file).write_text("changed\n")
    code, found = status()
    assert not (repo / ".git/MLFLOW_RUN_HEAD").exists()  # to look keeps nothing
    run_id = python_in(repo, START).split()[-1]
    tags = ours(mlflow.get_run(run_id).data.tags)
    if change == "code":
        del tags["git.snapshot"], tags["git.tree"]
    assert found["tags"] == tags
    assert code == (change in ("code", "data"))


def test_a_clean_project_is_clean(repo: Path, command: Command) -> None:
    done = command("status")
    assert done.code == 0
    assert "tree clean" in done.out
    assert "clean    data/images" in done.out
    assert done.out.endswith("clean: commit and hashes say exactly what lies here\n")
    assert done.err == ""


def test_changed_data_is_shown_with_the_recorded_and_the_actual_hash(
    repo: Path, status: Any, command: Command
) -> None:
    (repo / "data/train.csv").write_text("x,y\n1,2\n3,5\n")
    code, found = status()
    output = next(one for one in found["data"]["outputs"] if one["path"] == "data/train.csv")
    assert code == 1
    assert output["status"] == "modified"
    assert output["recorded"] != output["actual"]
    line = f"recorded {output['recorded']}, on disk {output['actual']}"
    assert line in command("status").out
    assert found["obstacles"] == ["data/train.csv is modified: differs from its metadata"]


def test_data_that_is_not_on_disk_is_named(repo: Path, status: Any, command: Command) -> None:
    (repo / "data/train.csv").unlink()
    code, found = status()
    assert code == 0
    assert found["tags"]["dvc.missing"] == '["data/train.csv"]'
    out = command("status").out
    assert "missing  data/train.csv" in out
    assert out.endswith("what is missing is brought by: dvc pull\n")


def test_hash_verifies_what_the_budget_left_unknown_and_later_runs_know_it(
    repo: Path, command: Command, dvc: Dvc, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open(repo / "data/big.bin", "wb") as file:
        file.truncate(600 << 20)
    dvc("add", "--quiet", "data/big.bin")
    os.utime(repo / "data/big.bin")  # DVC's own record does not answer either
    git("add", "--all")
    git("commit", "--quiet", "--message", "big")
    monkeypatch.setenv("MLFLOW_DVC_BUDGET", "0.4")  # Git needs some of it on a busy machine
    before = command("status")
    assert before.code == 1
    assert "unknown  data/big.bin" in before.out
    assert "run: mlflow-dvc status --hash" in before.err
    assert command("status", "--hash").code == 0
    after = command("status")
    assert (after.code, after.err) == (0, "")
    assert "clean    data/big.bin" in after.out


def test_outside_a_repository_it_says_so_and_fails(command: Command, status: Any) -> None:
    done = command("status")
    assert done.code == 1
    assert "would carry no tags" in done.out
    assert f"neither a Git nor a DVC repository in {os.getcwd()}" in done.out
    assert done.err.startswith("hint: ")
    code, found = status()
    assert (code, found["tags"], found["code"], found["data"]) == (1, {}, None, None)


def test_a_switched_off_plugin_gives_no_tags(
    repo: Path, command: Command, status: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DVC_DISABLE", "1")
    assert "tags: none, because MLFLOW_DVC_DISABLE is set" in command("status").out
    assert status()[1]["tags"] == {}


@pytest.mark.parametrize("value", ["", " ", "0", "1", "false", "No", "off", "yes", "2"])
def test_the_switch_means_the_same_to_the_provider(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("MLFLOW_DVC_DISABLE", value)
    assert switched_off() != DvcRunContext().in_context()


def test_strict_is_mentioned_when_it_would_refuse(
    repo: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repo / "train.py").write_text("")
    monkeypatch.setenv("MLFLOW_DVC_STRICT", "1")
    assert "mlflow.start_run() would refuse" in command("status").out


def test_keys_in_mlflow_run_context_are_left_out(
    repo: Path, status: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_CONTEXT", '{"dvc.hash": "mine"}')
    assert "dvc.hash" not in status()[1]["tags"]


def test_names_with_control_characters_are_shown_in_one_line(
    repo: Path, process: Command, dvc: Dvc
) -> None:
    name = "data/a\nb\x1b[31m.bin"
    Path(name).write_text("content")
    dvc("add", "--quiet", name)
    done = process("status")
    assert "\x1b" not in done.out
    assert '"data/a\\nb\\u001b[31m.bin"' in done.out


def test_a_wrong_setting_is_a_warning(
    repo: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DVC_BUDGET", "soon")
    assert "warning: MLFLOW_DVC_BUDGET = 'soon' is not a number" in command("status").err


@pytest.mark.parametrize("args", [["status"], ["status", "--json"], ["status", "--hash"]])
def test_it_needs_neither_rich_nor_dvc_nor_mlflow(
    repo: Path, process: Command, args: list[str]
) -> None:
    done = process(*args, without=("rich", "dvc", "mlflow"))
    assert (done.code, done.err) == (0, "")


def test_the_command_itself_makes_nothing_dirty(repo: Path, git: Git) -> None:
    """As in a project with an environment of its own in `.venv/`."""
    with open(repo / ".git/info/exclude", "a") as file:
        file.write("/.venv/\n")
    launcher = repo / ".venv/bin/mlflow-dvc"
    launcher.parent.mkdir(parents=True)
    launcher.write_text("import sys; from mlflow_dvc_plugin.cli import main; sys.exit(main())")
    for command in ([str(launcher)], ["-m", "mlflow_dvc_plugin.cli"]):
        done = subprocess.run(
            [sys.executable, *command, "status"], capture_output=True, text=True, check=False
        )
        assert f"code in {repo}\n" in done.stdout
        assert done.returncode == 0, done.stdout


def test_many_outputs_are_summed_up(repo: Path, command: Command, dvc: Dvc) -> None:
    for number in range(30):
        (repo / f"data/{number}.txt").write_text(str(number))
    dvc("add", "--quiet", *(f"data/{number}.txt" for number in range(30)))
    assert "and 12 more; all of them: mlflow-dvc status --json" in command("status").out
