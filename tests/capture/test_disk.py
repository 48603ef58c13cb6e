"""Clean, modified, missing, unknown: what is on disk beside what the metadata says."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mlflow_dvc_plugin.capture import hashing
from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.capture.disk import Disk
from mlflow_dvc_plugin.capture.live import Facts, capture
from mlflow_dvc_plugin.capture.store import Store
from mlflow_dvc_plugin.provenance import Output, OutputState
from mlflow_dvc_plugin.tags import to_tags


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def settle(repo: Path, seconds: float = 10) -> None:
    """Make everything in the data folder older than the clock's tick."""
    then = time.time() - seconds
    for path in (repo / "data").rglob("*"):
        os.utime(path, (then, then))
    time.sleep(0.02)


def look(
    repo: Path, budget: float | None = None, facts: Facts | None = None
) -> dict[str, OutputState]:
    """Return the state of every output, by path, as a new process (or ``facts``) sees it."""
    data = capture(facts or Facts(), budget)[0].data
    assert data is not None
    return {state.path: state for state in [*data.inputs, *data.products, *data.missing]}


def test_untouched_data_is_clean(repo: Path) -> None:
    states = look(repo)
    assert {path: state.status for path, state in states.items()} == {
        "data/train.csv": "clean", "data/images": "clean",
    }  # fmt: skip
    assert states["data/train.csv"].hash == md5((repo / "data/train.csv").read_bytes())


@pytest.mark.parametrize("before", [True, False], ids=["seen before", "first look"])
def test_a_changed_byte_of_the_same_size_is_modified(repo: Path, before: bool) -> None:
    if before:
        settle(repo)
        look(repo)
    content = (repo / "data/train.csv").read_bytes().replace(b"4", b"5")
    (repo / "data/train.csv").write_bytes(content)
    state = look(repo)["data/train.csv"]
    assert (state.status, state.hash) == ("modified", md5(content))


@pytest.mark.parametrize("name", ["data/train.csv", "data/images/dog.png"])
@pytest.mark.parametrize("before", [True, False], ids=["seen before", "first look"])
def test_a_changed_byte_is_found_when_size_and_mtime_are_put_back(
    repo: Path, name: str, before: bool
) -> None:
    settle(repo)
    if before:
        assert {state.status for state in look(repo).values()} == {"clean"}
    info = (repo / name).stat()
    content = bytearray((repo / name).read_bytes())
    content[0] ^= 1
    (repo / name).write_bytes(content)
    os.utime(repo / name, ns=(info.st_atime_ns, info.st_mtime_ns))
    state = next(state for path, state in look(repo).items() if name.startswith(path))
    assert state.status == "modified"


def test_a_byte_changed_right_after_a_look_is_found(repo: Path) -> None:
    """The racy case: same size, same tick of the file system's clock."""
    facts = Facts()
    path = repo / "data/train.csv"
    for number in range(60):
        content = b"x,y\n%03d\n" % number
        path.write_bytes(content)
        assert look(repo, facts=facts)["data/train.csv"].hash == md5(content)


def test_a_directory_says_added_removed_renamed_and_changed_files(repo: Path) -> None:
    settle(repo)
    clean = look(repo)["data/images"].hash
    images = repo / "data/images"
    (images / "new.png").write_bytes(b"new")
    added = look(repo)["data/images"]
    (images / "new.png").unlink()
    again = look(repo)["data/images"]
    (images / "cat.png").rename(images / "Cat.png")
    renamed = look(repo)["data/images"]
    (images / "Cat.png").rename(images / "cat.png")
    (images / "cat.png").unlink()
    removed = look(repo)["data/images"]
    assert [state.status for state in (added, again, renamed, removed)] == [
        "modified", "clean", "modified", "modified",
    ]  # fmt: skip
    assert again.hash == clean
    assert len({added.hash, renamed.hash, removed.hash, clean}) == 4


def test_swapped_names_of_two_files_are_found(repo: Path) -> None:
    for name in ("cat", "dog"):
        (repo / f"data/images/{name}.png").write_bytes(name.encode())
    subprocess.run([sys.executable, "-m", "dvc", "add", "-q", "data/images"], cwd=repo, check=True)
    settle(repo)
    assert look(repo)["data/images"].status == "clean"
    images = repo / "data/images"
    (images / "cat.png").rename(images / "x")
    (images / "dog.png").rename(images / "cat.png")
    (images / "x").rename(images / "dog.png")
    assert look(repo)["data/images"].status == "modified"


def test_the_hash_of_what_is_on_disk_is_the_one_that_dvc_would_record(repo: Path, dvc: Any) -> None:
    images = repo / "data/images"
    (images / "sub folder").mkdir()
    (images / "sub folder/näme.png").write_bytes(b"1")
    (images / os.fsdecode(b"sub folder/x'\"y")).write_bytes(b"2")
    (images / "empty").mkdir()
    (images / "link").symlink_to("cat.png")
    (images / "folder-link").symlink_to("sub folder")
    (images / ".git").write_text("DVC leaves this out")
    ours = look(repo)["data/images"]
    dvc("add", "--quiet", "data/images", cwd=repo)
    assert ours.status == "modified"
    assert f"md5: {ours.hash}\n" in (repo / "data/images.dvc").read_text()
    assert look(repo)["data/images"].status == "clean"


def test_dvcignored_files_inside_a_directory_do_not_count(repo: Path, dvc: Any) -> None:
    (repo / "data/images/notes.tmp").write_text("mine")
    (repo / ".dvcignore").write_text("*.tmp\n")
    assert look(repo)["data/images"].status == "clean"
    (repo / "data/images/notes.tmp").write_text("mine, changed")
    assert look(repo)["data/images"].status == "clean"
    settle(repo)
    assert look(repo)["data/images"].status == "clean"
    (repo / ".dvcignore").write_text("# nothing\n")
    assert look(repo)["data/images"].status == "modified"
    (repo / ".dvcignore").write_text("*.tmp\ncat.png\n")
    ours = look(repo)["data/images"]
    assert ours.status == "modified"
    dvc("add", "--quiet", "data/images", cwd=repo)
    assert f"md5: {ours.hash}\n" in (repo / "data/images.dvc").read_text()


def test_a_dvcignore_inside_a_tracked_directory_is_unknown_as_dvc_refuses_it(repo: Path) -> None:
    (repo / "data/images/.dvcignore").write_text("cat.png\n")
    assert look(repo)["data/images"].status == "unknown"


@pytest.mark.parametrize(
    "content",
    [b"a\r\nb\r\n", b"\x00a\r\nb", b"", b"a\r\n" * 400_000, b"t" * ((1 << 20) - 1) + b"\r\nx\r\n"],
    ids=["text", "binary", "empty", "several blocks", "across blocks"],
)
def test_hashes_of_dvc_2_are_compared_as_dvc_2_made_them(repo: Path, content: bytes) -> None:
    from dvc_data.hashfile.hash import file_md5

    path = repo / "data/train.csv"
    path.write_bytes(content)
    old = file_md5(str(path), name="md5-dos2unix")
    (repo / "data/train.csv.dvc").write_text(f"outs:\n- md5: {old}\n  path: train.csv\n")
    state = look(repo)["data/train.csv"]
    assert (state.status, state.hash) == ("clean", old)


def test_missing_data_is_missing_and_a_dangling_link_is_too(repo: Path) -> None:
    (repo / "data/train.csv").unlink()
    (repo / "data/train.csv").symlink_to("nowhere")
    assert look(repo)["data/train.csv"].status == "missing"


def test_a_folder_where_a_file_was_is_modified(repo: Path) -> None:
    (repo / "data/train.csv").unlink()
    (repo / "data/train.csv").mkdir()
    (repo / "data/train.csv/part-0").write_text("x")
    state = look(repo)["data/train.csv"]
    assert state.status == "modified"
    assert (state.hash or "").endswith(".dir")


def test_a_pipe_is_unknown_and_nobody_waits_for_it(repo: Path) -> None:
    (repo / "data/train.csv").unlink()
    os.mkfifo(repo / "data/train.csv")
    os.mkfifo(repo / "data/images/pipe")
    assert {state.status for state in look(repo).values()} == {"unknown"}


def test_past_the_budget_data_is_unknown_and_never_clean(repo: Path) -> None:
    path = repo / "data/train.csv"
    with path.open("wb") as file:
        file.truncate(50 << 30)
    began = time.monotonic()
    states = look(repo, budget=0.5)
    assert time.monotonic() - began < 2
    assert states["data/train.csv"].status == "unknown"
    assert states["data/images"].status == "clean", "a huge file costs the others their answer"


def test_a_file_that_is_hopeless_within_the_budget_is_tried_once(repo: Path) -> None:
    with (repo / "data/train.csv").open("wb") as file:
        file.truncate(50 << 30)
    settle(repo)
    look(repo, budget=0.5)
    began = time.monotonic()
    assert look(repo, budget=0.5)["data/train.csv"].status == "unknown"
    assert time.monotonic() - began < 0.3


def test_what_was_hashed_in_time_is_kept_for_the_next_run(repo: Path) -> None:
    images = repo / "data/images"
    for number in range(40):
        (images / f"{number}.bin").write_bytes(os.urandom(8 << 20))
    settle(repo)
    # 320 MB need more than half a second, and less than five times that.
    rounds = 0
    while look(repo, budget=0.15)["data/images"].status == "unknown":
        rounds += 1
        assert rounds < 60
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
    began = time.monotonic()
    state = look(repo, budget=0.3, facts=facts)["data/train.csv"]
    assert (state.status, time.monotonic() - began < 0.3) == ("modified", True)


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


def test_a_scheme_that_no_file_on_disk_has_is_unknown(repo: Path) -> None:
    (repo / "data/train.csv.dvc").write_text(
        "outs:\n- etag: abc123\n  path: s3://bucket/train.csv\n  cache: false\n"
    )
    data = capture(Facts())[0].data
    assert data is not None
    assert data.status == "unknown"
    assert "dvc.hash" not in to_tags(capture(Facts())[0])


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
    read: list[str] = []
    hashed = hashing.file_md5

    def noting(path: str, scheme: str, deadline: Deadline) -> tuple[str, os.stat_result]:
        read.append(path)
        return hashed(path, scheme, deadline)

    monkeypatch.setattr(hashing, "file_md5", noting)
    (repo / "data/images/dog.png").write_text("another dog")
    assert look(repo)["data/images"].status == "modified"
    assert read == [str(repo / "data/images/dog.png")]
