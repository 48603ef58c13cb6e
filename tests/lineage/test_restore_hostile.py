"""Tags, listings and commits are somebody's text: nothing is written outside the folder."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Git
from versions import ONE, data_in

from lineage.making import made
from lineage.restoring import beside, bring, manifest, tagged, verb
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.lineage.rundata import RunData
from mlflow_dvc_plugin.lineage.store import open_client


def everything(folder: Path) -> dict[str, str]:
    """Return what is below the folder, less the test's home and tracking store."""
    found = {}
    for path in folder.rglob("*"):
        inside = path.relative_to(folder).as_posix()
        if not inside.startswith(("home", "mlflow", "project/.git/objects")) and path.is_file():
            found[inside] = hashlib.md5(path.read_bytes()).hexdigest()
    return found


def stored(repo: Path, data: bytes, ending: str = "") -> str:
    """Put an object into the cache; return its hash."""
    value = hashlib.md5(data).hexdigest() + ending
    place = repo / ".dvc/cache/files/md5" / value[:2] / value[2:]
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(data)
    return value


@pytest.mark.parametrize(
    "path",
    ["../evil", "/evil-of-a-test", "a/../../evil", ".git/hooks/post-checkout", ".GIT/config",
     ".dvc/config.local", "sub/.git/config", "s3://bucket/x", "", ".", "nul\0nul"],
)  # fmt: skip
def test_a_path_of_a_tag_never_leads_outside(repo: Path, tracking_sqlite: str, path: str) -> None:
    run = manifest(made(), **{path: stored(repo, b"evil")})
    before = everything(repo.parent)
    outcome = bring(run)
    assert path in outcome.lacking and path not in outcome.checked
    folder = beside(repo, run)
    after = {name for name in everything(repo.parent) if not name.startswith(folder.name)}
    worktrees = {
        name for name in after if "/.git/worktrees/" in name or "/.git/mlflow-dvc/" in name
    }
    assert after - worktrees - before.keys() == set()
    assert not os.path.exists("/evil-of-a-test")
    assert b"evil" not in {one.read_bytes() for one in folder.rglob("*") if one.is_file()}


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("name", ["../../evil", "/evil", "a/../../b", ".git/config", "a//b", "."])
def test_a_path_of_a_listing_never_leads_outside(
    repo: Path, tracking_sqlite: str, name: str, dry_run: bool
) -> None:
    rows = [{"md5": stored(repo, b"evil"), "relpath": name}]
    run = manifest(made(), data=stored(repo, json.dumps(rows).encode(), ".dir"))
    before = everything(repo.parent)
    outcome = bring(run, dry_run=dry_run)
    assert not outcome.made and "its listing cannot be used" in outcome.missing[0].tried[0]
    assert everything(repo.parent) == before


@pytest.mark.parametrize("to", ["folder", "file"])
def test_data_never_goes_through_a_link_of_the_commit(
    repo: Path, tracking_sqlite: str, git: Git, to: str
) -> None:
    outside = repo.parent / "outside"
    outside.mkdir()
    (repo / "way").symlink_to(outside if to == "folder" else outside / "x")
    git("add", "way")
    git("commit", "-qm", "a link")
    path = "way/x" if to == "folder" else "way"
    run = manifest(made(), **{path: stored(repo, b"evil")})
    with pytest.raises(MlflowDvcError, match=r"by a link|is there already"):
        bring(run)
    assert list(outside.iterdir()) == [] and not beside(repo, run).exists()
    assert len(git("worktree", "list").splitlines()) == 1
    outcome = bring(run, in_place=True)
    assert path in outcome.lacking and list(outside.iterdir()) == []


def test_data_never_replaces_a_file_of_the_commit(
    repo: Path, tracking_sqlite: str, git: Git
) -> None:
    run = manifest(made(), **{"train.py": stored(repo, b"evil")})
    with pytest.raises(MlflowDvcError, match="is no part of the data"):
        bring(run)
    assert not beside(repo, run).exists()
    train = (repo / "train.py").read_text()
    assert "train.py" in bring(run, in_place=True).lacking
    assert (repo / "train.py").read_text() == train


def test_pieces_that_stand_in_each_others_way_leave_nothing(
    repo: Path, tracking_sqlite: str, git: Git
) -> None:
    value = stored(repo, b"x")
    run = manifest(made(), **{"one": value, "one/two": value})
    with pytest.raises((OSError, MlflowDvcError)):
        bring(run)
    assert not beside(repo, run).exists() and len(git("worktree", "list").splitlines()) == 1


@pytest.mark.parametrize("value", ["--help", "$(touch x)", "HEAD", "a" * 39, "a" * 40 + "\n", "é"])
def test_no_tag_is_taken_for_an_option_or_a_command(
    repo: Path, tracking_sqlite: str, value: str
) -> None:
    run = made()
    for key in ("mlflow.source.git.commit", "git.snapshot", "git.tree", "dvc.rev"):
        odd = tagged(run, **{key: value})
        if odd.code is None:
            with pytest.raises(MlflowDvcError, match="names no commit"):
                bring(odd)
        else:
            assert bring(odd, to=f"../{len(key)}").made
    client = open_client()
    client.set_tag(run.run_id, "mlflow.source.git.commit", "--output=x")
    client.set_tag(run.run_id, "dvc.manifest", '{"\\u001b[31mred":"no hash"}')
    code, out, err = verb(run.run_id)
    assert code == 1 and "names no commit" in err and "\x1b" not in out + err
    code, out, err = verb(run.run_id, "--only", "data")
    assert code == 1 and "\x1b" not in out + err


def test_hooks_of_the_user_do_not_run(repo: Path, tracking_sqlite: str) -> None:
    for event in ("post-checkout", "post-index-change", "reference-transaction"):
        script = repo / ".git/hooks" / event
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"#!/bin/sh\ntouch '{repo.parent}/ran'\nexit 1\n")
        script.chmod(0o755)
    run = made()
    (repo.parent / "ran").unlink(missing_ok=True)
    assert bring(run).whole
    assert not (repo.parent / "ran").exists()


@pytest.mark.parametrize("mine", [None, "notes.txt", "train.py", "data/train.csv"])
def test_a_restore_that_fails_takes_back_what_it_made_and_nothing_else(
    repo: Path, tracking_sqlite: str, git: Git, monkeypatch: pytest.MonkeyPatch, mine: str | None
) -> None:
    run = made()
    folder = beside(repo, run)
    folder.mkdir()
    check = RunData.check

    def fail(self: RunData, *args: object) -> None:
        if mine:
            (folder / mine).unlink(missing_ok=True)
            (folder / mine).write_text("a person's")
        raise KeyboardInterrupt

    monkeypatch.setattr(RunData, "check", fail)
    with pytest.raises(KeyboardInterrupt):
        bring(run)
    monkeypatch.setattr(RunData, "check", check)
    if mine:
        assert (folder / mine).read_text() == "a person's"
    else:
        assert list(folder.iterdir()) == []
        assert len(git("worktree", "list").splitlines()) == 1
        assert bring(run).whole and data_in(folder) == ONE


def test_a_worktree_whose_folder_is_away_stays_known_to_git(
    repo: Path, tracking_sqlite: str, git: Git
) -> None:
    run = made()
    folder = beside(repo, run)
    git("worktree", "add", "-q", "--detach", str(folder))
    folder.rename(folder.with_name("away"))
    with pytest.raises(MlflowDvcError, match="Git knows a worktree"):
        bring(run)
    assert str(folder) in git("worktree", "list")


def test_a_folder_that_holds_anything_is_refused(repo: Path, tracking_sqlite: str) -> None:
    run = made()
    for name, target in (("link", "nowhere"), ("link2", ".")):
        (repo.parent / name).symlink_to(target)
    (repo.parent / "file").write_text("mine")
    for name in ("link", "link2", "file", "project", "project/data", "project/.git"):
        with pytest.raises(MlflowDvcError, match=r"there already|not empty"):
            bring(run, to=f"../{name}")
    assert (repo.parent / "file").read_text() == "mine"
    done = subprocess.run(["git", "fsck"], cwd=repo, capture_output=True, check=False)
    assert done.returncode == 0


def test_a_checkout_that_git_cannot_do_leaves_nothing(
    repo: Path, tracking_sqlite: str, git: Git
) -> None:
    (repo / ".gitattributes").write_text("*.big filter=far\n")
    (repo / "a.big").write_text("a")
    git("add", "-A")
    git("commit", "-qm", "filtered")
    run = made()
    git("config", "filter.far.smudge", "exit 1")
    git("config", "filter.far.required", "true")
    with pytest.raises(MlflowDvcError, match="git worktree failed"):
        bring(run)
    assert not beside(repo, run).exists() and len(git("worktree", "list").splitlines()) == 1


def test_a_checkout_that_is_interrupted_leaves_nothing(
    repo: Path, tracking_sqlite: str, git: Git
) -> None:
    (repo / ".gitattributes").write_text("*.big filter=slow\n")
    (repo / "a.big").write_text("a")
    git("add", "-A")
    git("commit", "-qm", "filtered")
    run = made()
    git("config", "filter.slow.smudge", f"touch '{repo.parent}/began'; sleep 60; cat")
    command = [sys.executable, "-m", "mlflow_dvc_plugin.cli", "restore", run.run_id]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        until = time.monotonic() + 60
        while not (repo.parent / "began").exists() and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert not beside(repo, run).exists() and len(git("worktree", "list").splitlines()) == 1


def test_of_two_restores_at_once_one_succeeds_whole(
    repo: Path, tracking_sqlite: str, git: Git
) -> None:
    run = made()
    command = [sys.executable, "-m", "mlflow_dvc_plugin.cli", "restore", run.run_id]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1], said
    assert data_in(beside(repo, run)) == ONE
    assert git("status", "--porcelain", cwd=beside(repo, run)) == ""
