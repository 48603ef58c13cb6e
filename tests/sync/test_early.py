"""The look at directories that begins before a hook's imports."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import Dvc, Git
from versions import ONE, TWO, data_in, sync

from mlflow_dvc_plugin.capture import fingerprint
from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.hook import main
from mlflow_dvc_plugin.sync import early
from mlflow_dvc_plugin.sync.after import after
from mlflow_dvc_plugin.sync.early import Early
from mlflow_dvc_plugin.sync.ledger import Ledger

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs two processors",
)
FOLDERS = Path(".git/mlflow-dvc/folders")


@pytest.fixture
def moved(versions: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Check out `two` without a hook: its metadata is there, the data is still ONE."""
    monkeypatch.setenv("MLFLOW_DVC_SKIP_HOOKS", "1")
    git("checkout", "-q", "two")
    monkeypatch.delenv("MLFLOW_DVC_SKIP_HOOKS")
    return versions


def begun() -> Early:
    found = early.begin()
    assert found is not None
    return found


def test_directories_with_other_metadata_are_looked_at(moved: Path) -> None:
    found = begun()
    assert found.get("data/images") == fingerprint.take("data/images", Deadline(None))
    assert found.get("data/train.csv") is None  # a file takes no time


def test_a_hook_does_not_look_again_before_it_changes_anything(
    moved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = fingerprint.take
    taken: list[str] = []

    def noted(path: str, deadline: Deadline) -> fingerprint.Fingerprint | None:
        taken.append(path)
        return take(path, deadline)

    monkeypatch.setattr(fingerprint, "take", noted)
    assert main(["post-checkout"]) == 0
    assert data_in(moved) == TWO
    assert [path for path in taken if path.endswith("train.csv")]
    assert not [path for path in taken if path.endswith("images")]


def test_a_name_that_no_line_holds_is_left_out(moved: Path) -> None:
    ledger = Ledger.read(str(FOLDERS.parent))
    entry = ledger.outputs["data/images"]
    ledger.outputs |= {
        "data/im\tages": entry,
        "data/im\nages": entry,
        "data/\udcff": entry,
    }
    ledger.outputs["data/" + chr(0xD800)] = entry  # as a name in a locale that has no such letter
    ledger.save(str(FOLDERS.parent))
    lines = os.fsdecode(FOLDERS.read_bytes()).splitlines()
    assert [line.split("\t")[1:] for line in lines] == [
        ["data/images.dvc", "data/images"], ["data/images.dvc", "data/\udcff"],
    ]  # fmt: skip
    assert begun().get("data/images")


def test_where_nothing_has_changed_nothing_is_looked_at(versions: Path) -> None:
    assert begun().get("data/images") is None


def test_what_another_sync_may_have_changed_does_not_count(moved: Path) -> None:
    found = begun()
    os.utime(FOLDERS)
    assert found.get("data/images") is None


@pytest.mark.parametrize("said", ["1\t2\t3", "1\t2\t3\t4\tdata/imag", "1\t2\tdata/images\n", "x\n"])
def test_one_that_is_stopped_counts_for_nothing(moved: Path, said: str) -> None:
    handle, other = os.pipe()
    os.write(other, said.encode())
    os.close(other)
    child = subprocess.Popen([sys.executable, "-c", ""])
    info = FOLDERS.stat()
    seen = (info.st_ino, info.st_mtime_ns, info.st_size)
    assert Early(str(FOLDERS), seen, child.pid, handle).get("data/images") is None


@pytest.mark.parametrize("damage", ["", "a", "a\n", "a\tb\tc\td\n", "\t\t\n", "\xff\0\n", "gone"])
def test_a_damaged_list_stops_nothing(moved: Path, damage: str) -> None:
    if damage == "gone":
        FOLDERS.unlink()
        assert early.begin() is None
    else:
        FOLDERS.write_text(damage, encoding="latin-1")
        assert begun().get("data/images") is None
    assert after("post-checkout", [], early.begin()) == 0
    assert data_in(moved) == TWO


def test_on_one_processor_there_is_no_other_process(moved: Path) -> None:
    code = "from mlflow_dvc_plugin.sync import early; import sys; sys.exit(early.begin() is None)"
    one = f"import os; os.sched_setaffinity(0, [{min(os.sched_getaffinity(0))}]); {code}"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert subprocess.run([sys.executable, "-c", one], check=False).returncode == 1


@pytest.mark.parametrize("name", ["cat.png", "dog.png"])
def test_what_is_edited_meanwhile_is_kept_and_not_taken_for_the_data(
    moved: Path, name: str
) -> None:
    """The cat is another one in both versions, the dog is the same."""
    found = begun()
    assert found.get("data/images")
    text = ONE[f"data/images/{name}"].upper()  # of the same size
    (moved / "data/images" / name).write_text(text)
    assert after("post-checkout", [], found) == 0
    assert (moved / "data/images" / name).read_text() == text
    code, said = sync("--dry-run")
    assert code == 1
    assert "data/images" in said


def test_nobody_waits_for_it(moved: Path) -> None:
    """The hook's output ends with the hook."""
    code = f"""
import os, sys
sys.path.insert(0, {str(Path(early.__file__).parents[2])!r})
from mlflow_dvc_plugin.sync import early
early._fingerprint = lambda name: __import__("time").sleep(30)
assert early.begin()
print("done", flush=True)
os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=15, check=True)
    assert done.stdout == b"done\n"


def test_what_is_edited_while_another_sync_is_at_work_is_named(moved: Path) -> None:
    """The look is older than the wait for the other one."""
    found = begun()
    assert found.get("data/images")
    with FOLDERS.with_name("lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with ThreadPoolExecutor(1) as pool:
            hook = pool.submit(after, "post-checkout", [], found)
            time.sleep(0.5)
            (moved / "data/images/dog.png").write_text("mine\n")
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert hook.result() == 0
    assert (moved / "data/images/dog.png").read_text() == "mine\n"
    assert "data/images" in Ledger.read(str(FOLDERS.parent)).problems


def test_where_the_data_has_followed_meanwhile_all_is_well(
    moved: Path, dvc: Dvc, capsys: pytest.CaptureFixture[str]
) -> None:
    found = begun()
    assert found.get("data/images")
    dvc("checkout", "--quiet")
    assert after("post-checkout", [], found) == 0
    assert data_in(moved) == TWO
    assert Ledger.read(str(FOLDERS.parent)).problems == {}
    assert "run:" not in capsys.readouterr().err


def test_who_starts_a_hook_may_ignore_its_children(moved: Path) -> None:
    hook = [sys.executable, "-m", "mlflow_dvc_plugin.hook", "post-checkout"]
    ignoring = "import os, signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)"
    code = f"{ignoring}; os.execv({sys.executable!r}, {hook})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "not looked at" not in done.stderr
    assert data_in(moved) == TWO


@pytest.mark.parametrize("paths", [["/"], ["data/images", "../.."], ["data/../../.."]])
def test_a_list_that_leads_out_is_not_followed(moved: Path, paths: list[str]) -> None:
    FOLDERS.write_text("".join(f"before\tdata/images.dvc\t{path}\n" for path in paths))
    found = begun()
    assert all(found.get(path) is None for path in paths)


def test_a_list_that_is_no_file_is_not_waited_for(moved: Path) -> None:
    FOLDERS.unlink()
    os.mkfifo(FOLDERS)
    assert begun().get("data/images") is None


def test_nothing_is_left_of_it_when_nobody_asks(moved: Path) -> None:
    """Not the process, and not what it inherited."""
    code = f"""
import os, sys
sys.path.insert(0, {str(Path(early.__file__).parents[2])!r})
from mlflow_dvc_plugin.sync import early
early._fingerprint = lambda name: __import__("time").sleep(30)
found = early.begin()
assert found
if sys.argv[1] == "end":
    found.end()
print(found._pid, flush=True)
os._exit(0)
"""
    for how, stays in (("end", False), ("leave", True)):
        ours, theirs = os.pipe()
        done = subprocess.run(
            [sys.executable, "-c", code, how], pass_fds=[theirs], check=True, timeout=15,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        os.close(theirs)
        began = time.monotonic()
        assert os.read(ours, 1) == b"" and time.monotonic() - began < 10
        os.close(ours)
        pid = int(done.stdout)
        assert Path(f"/proc/{pid}").exists() is stays
        if stays:
            os.kill(pid, signal.SIGKILL)
