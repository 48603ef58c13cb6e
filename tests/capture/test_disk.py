"""Clean, modified, missing, unknown: what is on disk beside what the metadata says."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from looking import look, md5, settle

from mlflow_dvc_plugin.capture.live import Facts, capture
from mlflow_dvc_plugin.tags import to_tags


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
    assert time.monotonic() - began < 15, "50 GB take more than a minute"
    assert states["data/train.csv"].status == "unknown"
    assert states["data/images"].status == "clean", "a huge file costs the others their answer"


def test_a_scheme_that_no_file_on_disk_has_is_unknown(repo: Path) -> None:
    (repo / "data/train.csv.dvc").write_text(
        "outs:\n- etag: abc123\n  path: s3://bucket/train.csv\n  cache: false\n"
    )
    data = capture(Facts())[0].data
    assert data is not None
    assert data.status == "unknown"
    assert "dvc.hash" not in to_tags(capture(Facts())[0])
