"""Full disks, caches that cannot be written, damaged state: nothing is lost, all is repaired."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import Dvc, Git
from mounts import Mount, tmpfs
from versions import ONE, TWO, data_in, git_says, sync

SCRATCH = ".dvc/tmp/mlflow-dvc"


def fill(folder: Path, leave: int = 0) -> Path:
    """Fill the file system of a folder up to the last byte but ``leave``; return the file."""
    filler = folder / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
        file.truncate(max(0, file.tell() - leave))
    return filler


@pytest.mark.parametrize("leave", [0, 4096, 8192, 16384])
@pytest.mark.parametrize("link", ["copy", "symlink"])
def test_a_full_disk_below_the_data_loses_nothing(
    versions: Path, mount: Mount, dvc: Dvc, leave: int, link: str
) -> None:
    """A linked worktree on a small file system; Git's own files are elsewhere."""
    dvc("config", "--local", "cache.type", link)
    small = tmpfs(mount, versions.parent / "small", "1m")
    git_says("worktree", "add", "-q", "--detach", str(small / "linked"), "main")
    linked = small / "linked"
    assert data_in(linked) == ONE
    filler = fill(small, leave)
    said = git_says("-C", str(linked), "checkout", "-q", "two", "--", "data/train.csv.dvc")
    for name, text in data_in(linked).items():
        assert text in (ONE.get(name), TWO.get(name))
    if data_in(linked)["data/train.csv"] == ONE["data/train.csv"]:
        assert "data/train.csv" in said or "No space" in said
    filler.unlink()
    done = subprocess.run(
        [sys.executable, "-m", "mlflow_dvc_plugin.cli", "sync"], cwd=linked, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert data_in(linked)["data/train.csv"] == TWO["data/train.csv"]
    assert not list((linked / SCRATCH).glob("sync-*"))


def test_a_disk_that_fills_up_below_the_state_is_not_called_unlooked_at(
    versions: Path, mount: Mount, git: Git
) -> None:
    state = versions / ".git/mlflow-dvc"
    shutil.rmtree(state)
    tmpfs(mount, state, "64k")
    assert sync()[0] == 0
    for leave in (0, 4096, 8192, 16384, 24576, 32768):
        filler = fill(state, leave)
        said = git_says("checkout", "-q", "two")
        if data_in(versions) == TWO:
            assert "was not looked at" not in said
        else:
            assert data_in(versions) == ONE and said
        filler.unlink()
        assert sync()[0] == 0
        assert data_in(versions) == TWO
        git("checkout", "-q", "main")
        assert sync()[0] == 0
        assert data_in(versions) == ONE


@pytest.mark.parametrize("link", ["copy", "hardlink", "symlink", "reflink,hardlink,symlink,copy"])
@pytest.mark.parametrize("whole", [True, False])
def test_a_cache_that_cannot_be_written_is_read(
    versions: Path, mount: Mount, dvc: Dvc, link: str, whole: bool
) -> None:
    dvc("config", "--local", "cache.type", link)
    cache = versions / ".dvc/cache"
    if whole:  # another file system
        shutil.copytree(cache, versions.parent / "kept")
        tmpfs(mount, cache, "4m")
        shutil.copytree(versions.parent / "kept", cache, dirs_exist_ok=True)
        mount(cache, "-o", "remount,ro")
    else:
        mount(cache, "--bind", str(cache))
        mount(cache, "-o", "remount,bind,ro")
    with pytest.raises(OSError, match="Read-only"):
        (cache / "x").write_text("")
    for branch, expected in (("two", TWO), ("main", ONE), ("two", TWO)):
        assert "not in sync" not in git_says("checkout", "-q", branch)
        assert data_in(versions) == expected


def test_a_data_folder_on_a_file_system_of_its_own_loses_nothing(
    versions: Path, mount: Mount
) -> None:
    shutil.copytree(versions / "data/images", versions.parent / "kept")
    tmpfs(mount, versions / "data/images", "1m")
    shutil.copytree(versions.parent / "kept", versions / "data/images", dirs_exist_ok=True)
    said = git_says("checkout", "-q", "two")
    assert "data/images is not in sync: it is on another file system" in said
    assert "run: dvc checkout data/images" in said
    assert data_in(versions) == ONE | {"data/train.csv": TWO["data/train.csv"]}


@pytest.mark.parametrize("garbage", [
    "", "{", "[]", "null", '{"version": 2}', "[" * 100_000, "\0",
    '{"version":2,"outputs":{"data/train.csv":{"hash":null,"scheme":"md5","isdir":false,'
    '"source":"x.dvc","cache":"c","root":".","seen":""}},"problems":{},"verified":{}}',
    '{"version":2,"outputs":{"../../x":{"hash":"5","scheme":"md5","isdir":false,'
    '"source":"x.dvc","cache":"c","root":"../..","seen":""}},"problems":{},"verified":{}}',
    '{"version":2,"outputs":{},"problems":{"x":{"path":1,"text":[],"hint":{}}},"verified":{"a":7}}',
    '{"version":2,"outputs":{},"problems":{},"verified":{},"coming":[3]}',
])  # fmt: skip
@pytest.mark.parametrize("name", ["synced", "coming"])
def test_damaged_state_costs_time_only(versions: Path, garbage: str, name: str) -> None:
    (versions / ".git/mlflow-dvc" / name).write_text(garbage)
    assert git_says("checkout", "-q", "two").startswith("mlflow-dvc: updated")
    assert data_in(versions) == TWO
    (versions / "data/train.csv").write_text("mine\n")
    (versions / ".git/mlflow-dvc" / name).write_text(garbage)
    git_says("checkout", "-q", "main")
    assert data_in(versions) == ONE | {"data/train.csv": "mine\n"}


def test_a_state_folder_that_is_gone_or_a_file(versions: Path, git: Git) -> None:
    shutil.rmtree(versions / ".git/mlflow-dvc")
    git("checkout", "-q", "two")
    assert data_in(versions) == TWO
    shutil.rmtree(versions / ".git/mlflow-dvc")
    (versions / ".git/mlflow-dvc").write_text("")
    assert "mlflow-dvc" in git_says("checkout", "-q", "main")
    assert data_in(versions) == TWO
    code, said = sync()
    assert code != 0 and "Traceback" not in said
    (versions / ".git/mlflow-dvc").unlink()
    assert sync()[0] == 0
    assert data_in(versions) == ONE


def test_own_data_in_the_place_of_an_output_that_vanished_stays(versions: Path) -> None:
    (versions / "data/train.csv").unlink()
    (versions / "data/train.csv").write_text("nobody's but mine\n")
    shutil.rmtree(versions / "data/images")
    (versions / "data/images").mkdir()
    (versions / "data/images/cat.png").write_text("my cat\n")
    (versions / "data/images/own.png").write_text("mine\n")
    own = data_in(versions)
    for name in ("train.csv", "images"):
        (versions / f"data/{name}.dvc").unlink()
    said = sync()[1]
    assert said.count("has no metadata here any more, and stays") == 2
    assert data_in(versions) == own


@pytest.mark.slow
def test_a_file_that_is_edited_while_others_are_hashed_is_not_lost(
    versions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same size, after its hash was taken: what is in the cache is not what would go."""
    cat = versions / "data/images/cat.png"
    text = ONE["data/images/cat.png"]
    for number in range(6):
        with open(versions / f"data/images/own{number}.bin", "wb") as file:
            file.truncate(30 << 20)
    monkeypatch.setenv("MLFLOW_DVC_SKIP_HOOKS", "1")
    git_says("checkout", "-q", "two")
    mine = "PICTURE of a cat\n"
    assert len(mine) == len(text)
    edited: list[bool] = []

    def edit() -> None:
        with open(cat, "r+") as file:
            edited.append(file.read() == text)
            if edited[0]:
                file.seek(0)
                file.write(mine)

    for tenth in range(3, 12):
        cat.write_text(text)
        time.sleep(0.05)
        assert sync("--dry-run")[0] == 1  # all hashes are known now
        began = time.monotonic()
        assert sync("--dry-run")[0] == 1
        edited.clear()
        timer = threading.Timer((time.monotonic() - began) * tenth / 10, edit)
        timer.start()
        sync()
        timer.join()
        if not edited[0]:
            break
        assert cat.read_text() == mine
    assert cat.read_text() in (mine, TWO["data/images/cat.png"])
