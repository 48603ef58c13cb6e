"""What is read of DVC's private formats, beside DVC's own answers: fails when DVC changes them."""

from __future__ import annotations

import hashlib
import inspect
import os
import time
from pathlib import Path
from typing import Any

import pytest
from looking import note_reads

from mlflow_dvc_plugin.capture import disk, dvcstate
from mlflow_dvc_plugin.capture.dvcconfig import read_config
from mlflow_dvc_plugin.capture.live import Facts, capture


@pytest.fixture
def site_cache(repo: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    for path in (repo / "data").rglob("*"):
        os.utime(path)  # written now, not copied with an older mtime: see the tests below
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site cache?#%"))
    return str(tmp_path / "site cache?#%")


def stats_of(*paths: Path) -> dict[str, os.stat_result]:
    return {str(path): path.stat() for path in paths}


def test_the_hashes_that_dvc_recorded_are_found(repo: Path, dvc: Any, site_cache: str) -> None:
    images = sorted((repo / "data/images").iterdir())
    dvc("add", "--quiet", "data/train.csv", "data/images", cwd=repo)
    found = dvcstate.recorded(str(repo), stats_of(repo / "data/train.csv", *images), site_cache)
    assert found == {
        str(path): hashlib.md5(path.read_bytes()).hexdigest()
        for path in [repo / "data/train.csv", *images]
    }


def test_a_record_of_other_bytes_is_not_believed(repo: Path, dvc: Any, site_cache: str) -> None:
    dvc("add", "--quiet", "data/train.csv", cwd=repo)
    path = repo / "data/train.csv"
    recorded = stats_of(path)
    assert dvcstate.recorded(str(repo), recorded, site_cache)
    path.chmod(0o644)
    path.write_text("x,y\n1,2\n3,5\n")
    assert dvcstate.recorded(str(repo), stats_of(path), site_cache) == {}


def test_a_record_is_not_believed_when_the_mtime_was_put_back(
    repo: Path, dvc: Any, site_cache: str
) -> None:
    path = repo / "data/train.csv"
    path.chmod(0o644)
    then = time.time() - 3600
    os.utime(path, (then, then))
    dvc("commit", "--quiet", "--force", "data/train.csv.dvc", cwd=repo)
    path.chmod(0o644)
    os.utime(path, (then, then))
    assert dvcstate.recorded(str(repo), stats_of(path), site_cache) == {}


def test_large_data_that_dvc_has_just_pulled_is_not_read_again(
    repo: Path, dvc: Any, site_cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "_WORTH_A_LOOKUP", 0)
    dvc("add", "--quiet", "data/train.csv", "data/images", cwd=repo)
    read = note_reads(monkeypatch)
    data = capture(Facts())[0].data
    assert data is not None
    assert data.status == "clean"
    assert read == []
    (repo / "data/images/new.png").write_text("new")
    data = capture(Facts())[0].data
    assert data is not None
    assert data.status == "modified"
    assert read == [str(repo / "data/images/new.png")]


@pytest.mark.parametrize("garbage", [b"", b"not a database", b"SQLite format 3\0" + b"\xff" * 500])
def test_a_damaged_state_database_is_no_record(
    repo: Path, dvc: Any, site_cache: str, garbage: bytes
) -> None:
    dvc("add", "--quiet", "data/train.csv", cwd=repo)
    (database,) = Path(site_cache).glob("repo/*/hashes/local/cache.db")
    for path in database.parent.iterdir():
        path.unlink()
    database.write_bytes(garbage)
    assert dvcstate.recorded(str(repo), stats_of(repo / "data/train.csv"), site_cache) == {}


def test_the_state_folder_is_where_dvc_looks_for_it(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dvc.dirs import site_cache_dir

    if not inspect.signature(site_cache_dir).parameters:
        pytest.skip("this DVC has no setting core.site_cache_dir")
    for variable in ("/somewhere", None):
        if variable:
            monkeypatch.setenv("DVC_SITE_CACHE_DIR", variable)
        else:
            monkeypatch.delenv("DVC_SITE_CACHE_DIR")
        for configured in ("/configured", None):
            assert dvcstate.site_cache_dir(configured) == site_cache_dir(configured)


def test_the_default_remote_is_the_one_that_dvc_would_use(
    repo: Path, dvc: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from dvc.repo import Repo

    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "global"))
    dvc("remote", "add", "--global", "Storage", "s3://bucket/from global", cwd=repo)
    steps = [
        ["remote", "default", "Storage"],
        [
            "remote",
            "add",
            "--local",
            "--default",
            "Mine",
            "s3://user:key@bucket/local # not a comment",
        ],
        ["remote", "modify", "--local", "mine", "url", "azure://c/p?x=1"],
        ["config", "core.site_cache_dir", "/elsewhere"],
        ["cache", "dir", "../shared-cache"],
        ["config", "--local", "--unset", "core.remote"],
        ["remote", "default", "--unset"],
    ]
    for step in steps:
        dvc(*step, cwd=repo)
        ours = read_config(str(repo / ".dvc"))
        theirs = Repo(str(repo)).config
        default = theirs["core"].get("remote")
        url = theirs["remote"][default]["url"] if default else None
        assert ours.remote == url, step
        assert ours.site_cache_dir == theirs["core"].get("site_cache_dir")
        folder = theirs["cache"].get("dir")
        assert (ours.cache_dir and os.path.realpath(ours.cache_dir)) == (
            folder and os.path.realpath(folder)
        )
