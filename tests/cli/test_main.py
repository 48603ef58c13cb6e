from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest
from lineage.making import made

from mlflow_dvc_plugin.cli import VERBS, main

from .conftest import Command

CODE_AFTER = "import sys; from mlflow_dvc_plugin.cli import main; main({args}); print(*sys.modules)"


def test_version_is_that_of_the_package(command: Command) -> None:
    assert command("--version").out.split()[-1] == version("mlflow-dvc-plugin")


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_an_example_for_every_verb(command: Command, verb: str) -> None:
    assert f"mlflow-dvc {verb}" in command("--help").out
    done = command(verb, "--help")
    assert done.code == 0
    assert f"  mlflow-dvc {verb}" in done.out.partition("Examples:")[2].replace('"$(', "  ")


def test_a_command_leaves_the_collection_of_garbage_as_it_was() -> None:
    usual = gc.get_threshold()
    try:
        for before in (usual, (0, 10, 10), (100_000, 7, 7)):
            gc.set_threshold(*before)
            assert main(["--version"]) == 0 and gc.get_threshold() == before
    finally:
        gc.set_threshold(*usual)


def test_no_verb_shows_the_help(command: Command) -> None:
    assert command() == command("--help")


def test_wrong_usage_names_the_help_and_has_exit_code_2(command: Command) -> None:
    assert command("stauts").code == 2
    done = command("status", "--hsah")
    assert done.code == 2
    assert done.err.startswith("error: ")
    assert done.err.endswith("hint: mlflow-dvc status --help\n")


@pytest.mark.parametrize("args", [["--help"], ["status", "--help"], ["completion", "bash"]])
def test_help_and_completion_load_no_heavy_library(args: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-c", CODE_AFTER.format(args=args)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    loaded = set(out.splitlines()[-1].split())
    assert "mlflow_dvc_plugin.cli" in loaded
    assert not loaded & {"mlflow", "dvc", "git", "rich", "yaml"}


@pytest.mark.parametrize("words", ["mlflow-dvc st", "mlflow-dvc status --j"])
def test_completion_completes_verbs_and_options(words: str, tmp_path: Path) -> None:
    env = {
        **os.environ, "_MLFLOW_DVC_COMPLETE": "bash_complete", "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "mlflow_dvc_plugin.cli"], env=env, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.stdout.split(",")[-1].strip().startswith(words.rpartition(" ")[2])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_script_of_each_shell(command: Command, shell: str) -> None:
    done = command("completion", shell)
    assert done.code == 0
    assert f"_MLFLOW_DVC_COMPLETE={shell}_complete" in done.out


def test_a_missing_library_is_an_error_with_the_install_line(process: Command) -> None:
    done = process("tag", "0", without=("mlflow",))
    assert done.code == 1
    assert done.err == (
        "error: this needs the library mlflow, which is not installed here\n"
        f"hint: {sys.executable} -m pip install mlflow\n"
    )


def test_an_interrupt_has_exit_code_130_and_no_traceback(repo: Path) -> None:
    with open("data/train.csv", "wb") as file:
        file.truncate(1 << 38)
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow_dvc_plugin.cli", "status", "--hash"], stderr=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err.strip()) == (130, "interrupted")


@pytest.mark.skipif(os.name == "nt", reason="needs a shell that closes streams")
@pytest.mark.parametrize("args", [["status"], ["runs", "HEAD"], ["runs", "HEAD", "--json"]])
@pytest.mark.usefixtures("tracking_sqlite")
def test_closed_streams_change_nothing(repo: Path, args: list[str]) -> None:
    """As in a job that is started with all of them closed."""
    made()
    code = "from mlflow_dvc_plugin.cli import run; run()"
    command = [sys.executable, "-c", code, *args]
    closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command]
    ends = [
        subprocess.run(one, cwd=repo, capture_output=True, check=False).returncode
        for one in (command, closed)
    ]
    assert ends == [0, 0]
