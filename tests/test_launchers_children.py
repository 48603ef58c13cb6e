"""Processes that other processes start: launchers, pools, forks."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from conftest import Git
from test_launchers import ASK, Launch, assert_at_head, launch, project

__all__ = ["launch", "project"]  # fixtures

# As torchrun does: `python -u script.py` for each local rank, told by the environment.
TORCHRUN = """
import os, subprocess, sys
children = [
    subprocess.Popen(
        [sys.executable, "-u", sys.argv[1]],
        env={**os.environ, "LOCAL_RANK": str(rank), "RANK": str(rank), "WORLD_SIZE": "2",
             "MASTER_ADDR": "localhost", "MASTER_PORT": "29500", "TORCHELASTIC_RUN_ID": "none"},
    )
    for rank in range(2)
]
sys.exit(max(child.wait() for child in children))
"""


def test_a_launcher_that_starts_the_script_in_children(
    project: Path, git: Git, launch: Launch, tmp_path: Path
) -> None:
    (tmp_path / "torchrun.py").write_text(TORCHRUN)
    answers = launch(project, sys.executable, str(tmp_path / "torchrun.py"), "train.py")
    assert len(answers) == 2
    for answer in answers:
        assert_at_head(answer, git, project, "false")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing(
    project: Path, git: Git, launch: Launch, tmp_path: Path, method: str
) -> None:
    """The working directory is elsewhere: the child is to know the script it came from."""
    (project / "train.py").write_text(
        ASK + "if __name__ == '__main__':\n    ask()\n    import multiprocessing as m\n"
        f"    child = m.get_context('{method}').Process(target=ask)\n"
        "    child.start(); child.join(); raise SystemExit(child.exitcode)\n"
    )
    git("commit", "-qam", "third")
    answers = launch(tmp_path / "empty", sys.executable, str(project / "train.py"))
    assert len(answers) == 2
    for answer in answers:
        assert_at_head(answer, git, project, "false")


@pytest.mark.slow
def test_workers_of_joblib(project: Path, git: Git, launch: Launch) -> None:
    (project / "train.py").write_text(
        ASK + "if __name__ == '__main__':\n    import joblib\n"
        "    joblib.Parallel(2)(joblib.delayed(ask)() for _ in range(2))\n"
    )
    git("commit", "-qam", "third")
    answers = launch(project, sys.executable, "train.py")
    assert len(answers) == 2
    for answer in answers:
        assert_at_head(answer, git, project, "false")


@pytest.mark.slow
def test_a_child_forked_while_another_thread_captures_answers_at_once(
    project: Path, git: Git, launch: Launch, tmp_path: Path
) -> None:
    """The lock of the parent's thread is for ever closed in the child."""
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "git").write_text(
        '#!/bin/sh\n[ -e "$SLOW" ] && sleep 4\nPATH=${PATH#*:} exec git "$@"\n'
    )
    (slow / "git").chmod(0o755)
    (project / "train.py").write_text(
        ASK + "import os, sys, threading, time\n"
        "from mlflow.tracking.context.registry import resolve_tags\nresolve_tags()\n"
        "open(os.environ['SLOW'], 'w').close()\ntime.sleep(1.1)\n"
        "thread = threading.Thread(target=resolve_tags); thread.start(); time.sleep(0.5)\n"
        "os.unlink(os.environ['SLOW'])\nbegun = time.monotonic()\nchild = os.fork()\n"
        "if child == 0:\n    ask()\n    os._exit(0 if time.monotonic() - begun < 3 else 3)\n"
        "status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])\n"
        "assert thread.is_alive()\nthread.join()\nsys.exit(status)\n"
    )
    git("commit", "-qam", "third")
    (answer,) = launch(
        project, sys.executable, "train.py",
        PATH=f"{slow}{os.pathsep}{os.environ['PATH']}", SLOW=str(tmp_path / "be-slow"),
    )  # fmt: skip
    assert_at_head(answer, git, project, "false")
