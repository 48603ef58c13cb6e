"""The look at directories that begins before a hook's imports."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Git
from versions import ONE, TWO, data_in, sync

from mlflow_dvc_plugin.capture import fingerprint
from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.sync import early
from mlflow_dvc_plugin.sync.after import after
from mlflow_dvc_plugin.sync.early import Early

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs two processors",
)
LEDGER = Path(".git/mlflow-dvc/synced")


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


def test_where_nothing_has_changed_nothing_is_looked_at(versions: Path) -> None:
    assert begun().get("data/images") is None


def test_what_another_sync_may_have_changed_does_not_count(moved: Path) -> None:
    found = begun()
    os.utime(LEDGER)
    assert found.get("data/images") is None


def test_one_that_is_stopped_counts_for_nothing(moved: Path) -> None:
    handle, other = os.pipe()
    os.write(other, b'{"data/im')
    os.close(other)
    child = subprocess.Popen([sys.executable, "-c", ""])
    info = LEDGER.stat()
    seen = (info.st_ino, info.st_mtime_ns, info.st_size)
    assert Early(str(LEDGER), seen, child.pid, handle).get("data/images") is None


@pytest.mark.parametrize("damage", ["", "[]", '{"outputs": {"a": 1}}', "gone"])
def test_a_damaged_ledger_stops_nothing(moved: Path, damage: str) -> None:
    if damage == "gone":
        LEDGER.unlink()
        assert early.begin() is None
    else:
        LEDGER.write_text(damage)
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
