"""Markers of jobs that fork, close what they did not open, and whose folder holds anything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import PythonIn
from mounts import Mount
from test_provider_marker import job, markers, wait_until_gone
from versions import ONE, TWO, data_in, git_says, sync

from mlflow_dvc_plugin.capture.marker import Markers, holders

START = """
import os, sys, time
from mlflow_dvc_plugin.context import DvcRunContext
provider = DvcRunContext()
provider.tags()
"""
DAEMON = (
    START
    + """
if os.fork():
    sys.exit(0)  # as a daemon's parent, with all that is done at the end
print("ready", flush=True)
time.sleep(60)
"""
)
FIRST = (
    START
    + """
if os.fork() == 0:
    sys.exit(0)
os.wait()
print("ready", flush=True)
sys.stdin.readline()
"""
)
OTHER = (
    START
    + """
code = "print('ready', flush=True); input()"
os.execv(sys.executable, [sys.executable, "-c", code])
"""
)
CLOSES = (
    START
    + """
os.closerange(3, 1000)
file = open("other.txt", "w")
time.sleep(1.1)
provider.tags()
print("ready", flush=True)
sys.stdin.readline()
"""
)
REMOVED = (
    START
    + """
import shutil
shutil.rmtree(".dvc/tmp")
time.sleep(1.1)
provider.tags()
print("ready", flush=True)
sys.stdin.readline()
"""
)
WORKERS = """
import multiprocessing, sys, time
if __name__ == "__main__":
    from mlflow_dvc_plugin.context import DvcRunContext
    provider = DvcRunContext()
    provider.tags()
    context = multiprocessing.get_context("{way}")
    workers = [context.Process(target=time.sleep, args=(0.2,)) for _ in range(3)]
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]
    print("ready", flush=True)
    sys.stdin.readline()
"""


def test_the_child_of_a_job_that_ended_well_still_uses_the_data(versions: Path) -> None:
    with job(versions, DAEMON) as running:
        running.wait()
        git_says("checkout", "-q", "two")
        assert data_in(versions) == ONE
    wait_until_gone(versions)
    assert sync()[0] == 0
    assert data_in(versions) == TWO
    assert markers(versions) == []


def test_a_child_that_ends_first_takes_nothing_away(versions: Path) -> None:
    with job(versions, FIRST):
        git_says("checkout", "-q", "two")
        assert data_in(versions) == ONE


@pytest.mark.parametrize("code", [CLOSES, REMOVED], ids=["closed", "removed"])
def test_a_marker_that_was_lost_is_made_again(versions: Path, code: str) -> None:
    with job(versions, code):
        git_says("checkout", "-q", "two")
        assert data_in(versions) == ONE


def test_a_handle_that_is_somebody_elses_by_now_stays_open(versions: Path) -> None:
    code = (
        "import os\nfrom mlflow_dvc_plugin.capture.marker import Markers\n"
        "one = Markers()\none.hold(os.getcwd())\nos.closerange(3, 1000)\n"
        "files = [open('other.txt', 'w') for _ in range(30)]\ndel one\n"
        "for file in files: file.write('x'); file.close()\nprint('fine')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("fine\n", "")


@pytest.mark.parametrize("way", ["fork", "spawn", "forkserver"])
def test_workers_change_nothing(versions: Path, way: str) -> None:
    with job(versions, WORKERS.format(way=way)) as running:
        assert len(markers(versions)) == 1
        git_says("checkout", "-q", "two")
        assert data_in(versions) == ONE
        running.communicate("\n")
    assert markers(versions) == []


def test_another_program_in_the_same_process_is_another_job(versions: Path) -> None:
    with job(versions, OTHER):
        git_says("checkout", "-q", "two")
        assert data_in(versions) == TWO
        assert markers(versions) == []


def test_whatever_lies_in_the_folder_is_passed_over(versions: Path) -> None:
    folder = versions / ".dvc/tmp/mlflow-dvc"
    folder.mkdir(parents=True, exist_ok=True)
    os.mkfifo(folder / "running-fifo")
    (folder / "running-link").symlink_to(versions / "data/train.csv")
    (folder / "running-folder").mkdir()
    (folder / "running-huge").write_bytes(b"x" * 1_000_000)
    began = time.monotonic()
    assert list(holders(str(versions))) == []
    assert time.monotonic() - began < 1
    git_says("checkout", "-q", "two")
    assert data_in(versions) == TWO


@pytest.mark.parametrize("content", [b"", b"\xff", b"[" * 5000, b"[]", b'{"what": "x"}', b"null"])
def test_a_marker_that_cannot_be_read_is_still_one(versions: Path, content: bytes) -> None:
    import fcntl

    folder = versions / ".dvc/tmp/mlflow-dvc"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "running-x").write_bytes(content)
    with (folder / "running-x").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        said = git_says("checkout", "-q", "two")
        assert "a running job uses it" in said
        assert data_in(versions) == ONE


def test_a_folder_that_cannot_be_written_costs_no_run(
    versions: Path, mount: Mount, python_in: PythonIn
) -> None:
    place = versions / ".dvc/tmp"
    place.mkdir(exist_ok=True)
    mount(place, "--bind", str(place))
    mount(place, "-o", "remount,ro,bind")
    assert python_in(versions, START + "print(provider.tags()['dvc.status'])") == "clean\n"


def test_marking_and_sweeping_at_once(versions: Path) -> None:
    sweep = (
        "import sys, time\nfrom mlflow_dvc_plugin.capture.marker import holders\n"
        "until = time.monotonic() + 3\n"
        "while time.monotonic() < until: list(holders(sys.argv[1]))"
    )
    sweeper = subprocess.Popen([sys.executable, "-c", sweep, str(versions)])
    while sweeper.poll() is None:
        one = Markers()
        one.hold(str(versions))
        assert len(markers(versions)) == 1
        del one
        # The sweeper may have the marker in its hands at this moment: then it takes it away.
        until = time.monotonic() + 20
        while markers(versions) and time.monotonic() < until:
            time.sleep(0.001)
        assert markers(versions) == []
    assert sweeper.returncode == 0


def test_many_repositories_take_few_handles(tmp_path: Path) -> None:
    one = Markers()
    before = len(os.listdir("/proc/self/fd"))
    for number in range(200):
        (tmp_path / str(number) / ".dvc").mkdir(parents=True)
        one.hold(str(tmp_path / str(number)))
    assert len(os.listdir("/proc/self/fd")) - before <= 64


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be somebody else")
def test_a_job_of_somebody_else_is_seen(versions: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(versions / ".dvc/tmp")
    one = Markers()
    one.hold(str(versions))
    code = (
        "import fcntl, json, os, sys\nfrom mlflow_dvc_plugin.capture.marker import holders\n"
        "os.chdir(sys.argv[1]); os.setuid(65534)\nprint(len(list(holders('.'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(versions)], capture_output=True, text=True, check=False
    )
    assert done.stdout == "1\n", done.stderr
    del one
