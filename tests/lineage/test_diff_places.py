"""Data in other places and forms: S3, DVC 2.x, another repository, no Git, a clone."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Dvc, Git
from s3 import KEY, S3, SECRET
from versions import TWO, write_data

from lineage.making import made
from lineage.test_diff_code import code
from lineage.test_diff_data import data, files
from mlflow_dvc_plugin.lineage.diff import diff
from mlflow_dvc_plugin.lineage.record import Record


@pytest.fixture
def two(versions: Path, tracking_sqlite: str, git: Git) -> tuple[Record, Record]:
    """Return a run on each of the branches `main` and `two`."""
    first = made()
    git("checkout", "-q", "two")
    return first, made()


def use_s3(dvc: Dvc, url: str, address: str, secret: str = SECRET) -> None:
    dvc("remote", "add", "--quiet", "--force", "--default", "far", url)
    settings = {"endpointurl": address, "region": "us-east-1", "access_key_id": KEY,
                "secret_access_key": secret}  # fmt: skip
    for name, value in settings.items():
        dvc("remote", "modify", "--quiet", "--local", "far", name, value)


def test_files_and_sizes_come_from_s3_when_the_cache_is_gone(
    two: tuple[Record, Record], versions: Path, dvc: Dvc, bucket: Path, s3_server: S3
) -> None:
    expected = data(*two)
    url = f"s3://{bucket.name}/dvc"
    use_s3(dvc, url, s3_server.url)
    # `dvc push --all-branches` would take the remote of each commit's own configuration.
    shutil.copytree(versions / ".dvc/cache", bucket / "dvc")
    shutil.rmtree(versions / ".dvc/cache")
    assert data(*two) == expected
    use_s3(dvc, url, s3_server.url, secret="wrong")
    images = data(*two).outputs[0]
    assert images.kind == "changed" and images.files is None and "DVC remote 'far'" in images.note


def test_without_a_network_the_cache_tells_what_it_can(
    two: tuple[Record, Record], versions: Path, dvc: Dvc
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    use_s3(dvc, "s3://bucket/dvc", f"http://127.0.0.1:{port}")
    for path in (versions / ".dvc/cache/files/md5").rglob("*"):
        if path.is_file() and not path.name.endswith(".dir"):
            path.unlink()
    begun = time.monotonic()
    images, train = data(*two).outputs
    assert len(files(images)) == 3 and images.files
    assert {(one.size_before, one.size_after) for one in images.files} == {(None, None)}
    assert train.size_before == 12 and time.monotonic() - begun < 60


def test_a_fresh_clone_without_the_cache_compares_what_the_remote_has(
    two: tuple[Record, Record], versions: Path, git: Git, dvc: Dvc, tmp_path: Path
) -> None:
    dvc("push", "--quiet", "--all-branches")
    (tmp_path / "elsewhere").mkdir()
    clone = tmp_path / "elsewhere/clone"
    git("clone", "-q", str(versions), str(clone))
    shutil.copytree(tmp_path / "remote", tmp_path / "elsewhere/remote")
    expected = diff(*two)
    os.chdir(clone)
    assert diff(*two) == expected
    git("checkout", "-q", "--orphan", "nothing")
    git("rm", "-rqf", ".")
    assert data(*two) == expected.data, "the configuration of the run's commit serves"
    assert data(two[0]).same is not True


def test_data_of_dvc_2_and_its_legacy_cache(repo: Path, tracking_sqlite: str, git: Git) -> None:
    first = made()
    cache = repo / ".dvc/cache"
    for name in ("images", "train.csv"):
        path = repo / f"data/{name}.dvc"
        path.write_text(path.read_text().replace("  hash: md5\n", ""))
    for path in list((cache / "files/md5").iterdir()):
        path.rename(cache / path.name)
    shutil.rmtree(repo.parent / "remote")
    git("commit", "-qam", "as DVC 2.x has it")
    second = made()
    assert second.manifest == first.manifest and data(first, second).same is True
    (repo / "data/images/cat.png").write_text("a cat\r\n")
    (images,) = data(second).outputs
    assert files(images) == [("changed", None, "cat.png")] and images.note == ""
    assert images.files and images.files[0].size_before == 17
    other = replace(first, tags={**first.tags, "dvc.manifest": json.dumps(
        {**(first.manifest or {}), "data/train.csv": "0" * 32})})  # fmt: skip
    (train,) = data(second, other).outputs
    assert "DVC 2.x" in train.note


def test_code_and_data_in_two_repositories(
    two: tuple[Record, Record], versions: Path, git: Git, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    lab = tmp_path / "lab"
    git("init", "-q", str(lab))
    runs = []
    for run, text in zip(two, ("1\n", "2\n"), strict=True):
        (lab / "fit.py").write_text(text)
        git("add", "-A", cwd=lab)
        git("commit", "-qm", text, cwd=lab)
        tags = {**run.tags, "dvc.rev": run.commit or "", "git.tree": "",
                "mlflow.source.git.commit": git("rev-parse", "HEAD", cwd=lab)}  # fmt: skip
        runs.append(replace(run, tags=tags))
    first, second = runs
    expected = data(*two)
    monkeypatch.chdir(lab)
    monkeypatch.setenv("MLFLOW_DVC_REPO", str(versions))
    assert [one.path for one in code(first, second).files] == ["fit.py"]
    assert data(first, second) == expected
    assert data(second).same is True and code(second).same is True
    monkeypatch.delenv("MLFLOW_DVC_REPO")
    found = diff(first, second)
    assert "MLFLOW_DVC_REPO" in found.warnings[0] and found.same is False
    assert found.data and [one.kind for one in found.data.outputs] == ["changed", "changed"]


def test_dvc_without_git(
    tmp_path: Path, tracking_sqlite: str, dvc: Dvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plain/data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "plain")
    dvc("init", "--quiet", "--no-scm")
    Path("data/a.csv").write_text("1\n")
    dvc("add", "--quiet", "data")
    first = made()
    Path("data/a.csv").write_text("12\n")
    dvc("add", "--quiet", "data")
    second = made()
    found = diff(first, second)
    assert found.code and found.code.unknown == "this is no Git worktree"
    assert found.data and files(found.data.outputs[0]) == [("changed", None, "a.csv")]
    assert data(second).same is True and data(first).same is False


def test_a_dvc_repository_in_a_subfolder(
    repo: Path, tracking_sqlite: str, git: Git, dvc: Dvc
) -> None:
    sub = repo / "sub"
    (sub / "set").mkdir(parents=True)
    dvc("init", "--quiet", "--subdir", cwd=sub)
    (sub / "set/x.csv").write_text("1\n")
    dvc("add", "--quiet", "set", cwd=sub)
    git("add", "-A")
    git("commit", "-qm", "sub")
    os.chdir(sub)
    first = made()
    (sub / "set/y.csv").write_text("2\n")
    dvc("add", "--quiet", "set", cwd=sub)
    git("commit", "-qam", "more")
    second = made()
    os.chdir(repo)
    (one,) = data(first, second).outputs
    assert (one.path, files(one)) == ("sub/set", [("added", None, "y.csv")])
    os.chdir(sub)
    (one,) = data(first).outputs
    assert (one.path, files(one)) == ("sub/set", [("added", None, "y.csv")])


def test_what_dvcignore_leaves_out_is_no_difference(
    repo: Path, tracking_sqlite: str, git: Git
) -> None:
    (repo / ".dvcignore").write_text("*.tmp\n")
    git("add", "-A")
    git("commit", "-qm", "ignore")
    run = made()
    (repo / "data/images/x.tmp").write_text("1\n")
    (repo / "data/images/cat.png").write_text("no cat\n")
    (images,) = data(run).outputs
    assert files(images) == [("changed", None, "cat.png")]


def test_a_linked_worktree_uses_the_main_ones_cache(
    two: tuple[Record, Record], git: Git, tmp_path: Path
) -> None:
    expected = data(*two)
    git("worktree", "add", "-q", "--detach", str(tmp_path / "linked"), "main")
    os.chdir(tmp_path / "linked")
    assert data(*two) == expected
    write_data(tmp_path / "linked", TWO)
    assert data(two[1]).same is True


def test_of_a_stages_run_the_stages_inputs_are_compared_with_the_disk(
    repo: Path, tracking_sqlite: str, git: Git, dvc: Dvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repo / "dvc.yaml").write_text(
        "stages:\n  fit:\n    cmd: cp data/images/cat.png out.txt\n"
        "    deps: [data/images/cat.png]\n    outs: [out.txt]\n"
    )
    git("add", "-A")
    git("commit", "-qm", "stage")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_STAGE", "fit")
        run = made()
    assert run.manifest and list(run.manifest) == ["data/images/cat.png"]
    dvc("repro", "--quiet")
    assert data(run).same is True
    (repo / "data/images/dog.png").write_text("no input of this run\n")
    assert data(run).same is True
    (repo / "data/images/cat.png").write_text("other\n")
    (cat,) = data(run).outputs
    assert (cat.kind, cat.path) == ("changed", "data/images/cat.png")
    assert (cat.size_before, cat.size_after) == (17, 6)
