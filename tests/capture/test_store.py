"""What one capture learned serves the next: the steady state only looks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from looking import look, md5, note_reads, settle

from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.capture.disk import Disk
from mlflow_dvc_plugin.capture.live import Facts, capture
from mlflow_dvc_plugin.capture.store import Store
from mlflow_dvc_plugin.provenance import Output


def test_a_file_that_is_hopeless_within_the_budget_is_not_tried_every_time(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = note_reads(monkeypatch)
    with (repo / "data/train.csv").open("wb") as file:
        file.truncate(50 << 30)
    settle(repo)
    for _ in range(8):
        assert look(repo, budget=0.5)["data/train.csv"].status == "unknown"
    # Another try takes half as much time again as the last one had: a few, not one a run.
    assert 1 <= read.count(str(repo / "data/train.csv")) <= 4


def test_what_was_hashed_in_time_is_kept_for_the_next_run(repo: Path) -> None:
    images = repo / "data/images"
    for number in range(40):
        (images / f"{number}.bin").write_bytes(os.urandom(8 << 20))
    settle(repo)
    # 320 MB need more than half a second, and less than five times that.
    rounds = 0
    while look(repo, budget=0.15)["data/images"].status == "unknown":
        rounds += 1
        assert rounds < 400
    assert rounds > 0, "the machine hashed everything at once: nothing is shown"


def test_steady_state_reads_no_data_and_imports_no_dvc(repo: Path) -> None:
    settle(repo)
    time.sleep(2.1)  # metadata files this young are read again
    look(repo)
    script = (
        "import sys, builtins, os\n"
        "from mlflow_dvc_plugin.capture.live import Facts, capture\n"
        "opened = []\n"
        "sys.addaudithook(lambda e, a: opened.append(str(a[0])) if e == 'open' else None)\n"
        "data = capture(Facts())[0].data\n"
        "assert data.status == 'clean', data\n"
        "print([p for p in opened if '/data/' in p or p.endswith('.dvc')])\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'dvc', 'dvc_data', 'sqlite3'}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=repo, capture_output=True, text=True, check=True
    )
    opened, modules = done.stdout.splitlines()
    # A directory is opened to be listed; no data file, no metadata file, no dvc.
    assert [path for path in eval(opened) if not path.endswith(("/images", "/.dvcignore"))] == []
    assert modules == "[]"


def test_nothing_is_written_in_the_steady_state(repo: Path) -> None:
    settle(repo)
    time.sleep(2.1)
    look(repo)
    state = repo / ".dvc/tmp/mlflow-dvc/state"
    before = state.stat().st_ino
    look(repo)
    assert state.stat().st_ino == before
    assert {path.suffix for path in state.parent.iterdir()} == {""}


def test_what_another_process_learned_is_used_without_a_restart(repo: Path) -> None:
    with (repo / "data/train.csv").open("wb") as file:
        file.truncate(3 << 30)
    settle(repo)
    facts = Facts()
    assert look(repo, budget=0.3, facts=facts)["data/train.csv"].status == "unknown"
    capture(Facts(), thorough=True)
    assert look(repo, budget=0.3, facts=facts)["data/train.csv"].status == "modified"


def test_two_processes_keep_what_each_of_them_learned(repo: Path) -> None:
    settle(repo)
    one, two = Store(str(repo)), Store(str(repo))
    one.data["outputs"]["md5 a"] = [[1], "", "x"]
    two.data["outputs"]["md5 b"] = [[2], "", "y"]
    one.save()
    two.save()
    assert Store(str(repo)).data["outputs"].keys() == {"md5 a", "md5 b"}
    one.refresh()
    assert one.data["outputs"].keys() == {"md5 a", "md5 b"}


def test_damaged_state_is_thrown_away(repo: Path) -> None:
    look(repo)
    folder = repo / ".dvc/tmp/mlflow-dvc"
    for content in (b"", b"{", b"[1]", b"\xff\xfe", b'{"version": 1, "outputs": 5}'):
        for path in folder.iterdir():
            path.write_bytes(content)
        assert {state.status for state in look(repo).values()} == {"clean"}


def test_a_state_that_lies_about_another_file_is_not_believed(repo: Path) -> None:
    settle(repo)
    look(repo)
    content = b"replaced by a new file"
    (repo / "data/new").write_bytes(content)
    os.utime(repo / "data/new", ns=(0, (repo / "data/train.csv").stat().st_mtime_ns))
    os.replace(repo / "data/new", repo / "data/train.csv")
    assert look(repo)["data/train.csv"].hash == md5(content)


def test_the_store_falls_back_to_the_users_cache_folder(
    repo: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (repo / ".dvc/tmp").rename(repo / ".dvc/tmp.off") if (repo / ".dvc/tmp").exists() else None
    (repo / ".dvc/tmp").write_text("in the way")
    settle(repo)
    look(repo)
    assert list((tmp_path / "cache/mlflow-dvc").glob("*/state"))
    output = Output("data/train.csv", None, "data/train.csv.dvc")
    store = Store(str(repo))
    assert store.data["outputs"], "what is kept there is read again"
    disk = Disk(str(repo), str(repo), store, Deadline(1), None)
    assert disk.state_of(output).hash


def test_only_the_changed_file_of_a_directory_is_read_again(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(repo)
    look(repo)
    read = note_reads(monkeypatch)
    (repo / "data/images/dog.png").write_text("another dog")
    assert look(repo)["data/images"].status == "modified"
    assert read == [str(repo / "data/images/dog.png")]
