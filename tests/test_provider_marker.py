"""A job that logs to MLflow leaves word that it uses the data, and Git hooks leave it alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from conftest import Git, PythonIn
from versions import ONE, TWO, data_in, git_says, sync

JOB = """
import sys
from mlflow_dvc_plugin.context import DvcRunContext
provider = DvcRunContext()
for _ in range(50):
    provider.tags()
print("ready", flush=True)
sys.stdin.readline()
"""
FORKS = """
import os, sys, time
from mlflow_dvc_plugin.context import DvcRunContext
provider = DvcRunContext()
provider.tags()
if os.fork() == 0:
    print("ready", flush=True)
    time.sleep(60)
    os._exit(0)
os._exit(0)
"""


def markers(project: Path) -> list[Path]:
    return sorted((project / ".dvc/tmp/mlflow-dvc").glob("running-*"))


@contextmanager
def job(
    project: Path, code: str = JOB, *options: str, name: str = "train.py"
) -> Iterator[subprocess.Popen[str]]:
    """Run a script of this code until the block is left; a shell, not this process, starts it."""
    script = project.parent / name
    script.write_text(code)
    running = subprocess.Popen(
        [sys.executable, *options, str(script)], cwd=project, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert running.stdout and running.stdout.readline() == "ready\n"
    try:
        yield running
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def test_a_running_job_keeps_its_data(versions: Path) -> None:
    with job(versions) as running:
        assert len(markers(versions)) == 1  # after fifty calls
        said = git_says("checkout", "-q", "two")
        assert data_in(versions) == ONE
        assert f"train.py (process {running.pid}) uses it" in said
        assert "when that has ended: mlflow-dvc sync" in said
        code, said = sync()
        assert code == 1 and "train.py" in said and data_in(versions) == ONE
    assert sync()[0] == 0
    assert data_in(versions) == TWO
    assert markers(versions) == []


def test_a_job_that_ends_leaves_nothing(versions: Path, python_in: PythonIn) -> None:
    python_in(versions, "from mlflow_dvc_plugin.context import DvcRunContext as C; C().tags()")
    assert markers(versions) == []


def test_a_job_that_is_killed_is_forgotten_at_once(versions: Path) -> None:
    with job(versions) as running:
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
        assert len(markers(versions)) == 1
        git_says("checkout", "-q", "two")
        assert data_in(versions) == TWO
        assert markers(versions) == []


def test_a_child_that_was_forked_still_uses_the_data(versions: Path) -> None:
    with job(versions, FORKS) as running:
        running.wait()  # the parent
        git_says("checkout", "-q", "two")
        assert data_in(versions) == ONE
    wait_until_gone(versions)
    assert sync()[0] == 0
    assert data_in(versions) == TWO


def wait_until_gone(project: Path) -> None:
    """Wait for the kernel to release what a process held that was just killed."""
    from mlflow_dvc_plugin.capture.marker import holders

    until = time.monotonic() + 20
    while list(holders(str(project))) and time.monotonic() < until:
        time.sleep(0.01)


def test_a_shell_that_sits_there_for_days_only_warns(versions: Path) -> None:
    # As in `python -i`: the flag that the interpreter itself sets.
    with job(versions, JOB, "-i"):
        said = git_says("checkout", "-q", "two")
        assert data_in(versions) == TWO
        assert "uses data that has changed below it" in said


def test_a_job_may_ask_for_other_data_itself(versions: Path, python_in: PythonIn) -> None:
    code = (
        "import subprocess\nfrom mlflow_dvc_plugin.context import DvcRunContext as C\n"
        "provider = C()\nprovider.tags()\n"
        "subprocess.run(['git', 'checkout', '-q', 'two'], check=True)\n"
        "print(provider.tags()['dvc.status'])"
    )
    assert python_in(versions, code).strip() == "clean"
    assert data_in(versions) == TWO


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_repository_that_cannot_be_written_has_no_marker(
    versions: Path, python_in: PythonIn
) -> None:
    (versions / ".dvc/tmp").chmod(0o555)
    code = "from mlflow_dvc_plugin.context import DvcRunContext as C; print(C().tags())"
    assert "dvc.status" in python_in(versions, code)


def test_a_file_in_the_way_costs_no_run(versions: Path, git: Git, python_in: PythonIn) -> None:
    import shutil

    shutil.rmtree(versions / ".dvc/tmp", ignore_errors=True)
    (versions / ".dvc/tmp").write_text("")
    code = "from mlflow_dvc_plugin.context import DvcRunContext as C; print(C().tags())"
    assert "'dvc.status': 'clean'" in python_in(versions, code)
    git("checkout", "-q", "two")
    assert data_in(versions) == ONE  # nothing can be made ready there, and nothing was lost
