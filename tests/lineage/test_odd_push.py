from __future__ import annotations

import json, os, re, shutil, subprocess, sys, time
from pathlib import Path

import pytest
import snapshotkinds
from conftest import Dvc, Git
from snapshotting import files_in, make_dirty, git_state

from lineage.making import made, answered
from lineage.test_round_trip import ask, verdicts
from mlflow_dvc_plugin.gitrepo import snapshot as repository


@pytest.fixture
def up(repo: Path, git: Git, tracking_sqlite: str, tmp_path: Path) -> Path:
    upstream = tmp_path / "up.git"
    git("init", "-q", "--bare", str(upstream))
    git("remote", "add", "origin", upstream.as_uri())
    git("push", "-q", "origin", "main")
    return upstream


def refs(up, git):
    return git("for-each-ref", "--format=%(refname)", cwd=up).splitlines()


def test_push_a_branch_that_a_colleague_deleted(repo, git, up):
    git("checkout", "-q", "-b", "topic")
    git("commit", "-q", "--allow-empty", "-m", "topic")
    git("push", "-q", "origin", "topic")
    git("update-ref", "-d", "refs/heads/topic", cwd=up)
    run = made()
    found = ask("push", run.run_id)
    print(found)
    assert verdicts(run.run_id) == "reproducible"


def test_push_takes_no_tags_along(repo, git, up):
    git("config", "push.followTags", "true")
    git("tag", "-a", "-m", "private", "private")
    (repo / "train.py").write_text("dirty\n")
    run = made()
    ask("push", run.run_id)
    assert len(refs(up, git)) == 2


def test_push_mirror_remote(repo, git, up):
    git("config", "remote.origin.mirror", "true")
    (repo / "train.py").write_text("dirty\n")
    run = made()
    ask("push", run.run_id)


def test_push_with_refspec_config(repo, git, up):
    git("config", "remote.origin.push", "refs/heads/*:refs/heads/*")
    git("config", "push.recurseSubmodules", "on-demand")
    git("checkout", "-q", "-b", "other")
    (repo / "train.py").write_text("dirty\n")
    run = made()
    ask("push", run.run_id)
    assert len(refs(up, git)) == 2


def test_push_shallow(repo, git, up, tmp_path, monkeypatch):
    git("commit", "-q", "--allow-empty", "-m", "2")
    git("commit", "-q", "--allow-empty", "-m", "3")
    git("push", "-q", "origin", "main")
    git("clone", "-q", "--depth=1", up.as_uri(), str(tmp_path / "sh"))
    monkeypatch.chdir(tmp_path / "sh")
    Path("train.py").write_text("dirty\n")
    run = made()
    assert run.snapshot
    print(ask("push", run.run_id, codes=(0, 1)))
    print(verdicts(run.run_id))
    git("clone", "-q", up.as_uri(), str(tmp_path / "clone"))
    assert verdicts(run.run_id, tmp_path / "clone") == "reproducible"


def test_push_partial(repo, git, up, tmp_path, monkeypatch):
    git("config", "uploadpack.allowFilter", "true", cwd=up)
    (repo / "old.py").write_text("old")
    git("add", "old.py")
    git("commit", "-qm", "2")
    (repo / "old.py").write_text("new")
    git("commit", "-qam", "3")
    git("push", "-q", "origin", "main")
    git("clone", "-q", "--filter=blob:none", up.as_uri(), str(tmp_path / "sh"))
    monkeypatch.chdir(tmp_path / "sh")
    Path("train.py").write_text("dirty\n")
    run = made()
    assert run.snapshot
    print(ask("push", run.run_id, codes=(0, 1)))
    assert verdicts(run.run_id) == "reproducible"


def test_partial_sparse(repo, git, up, tmp_path, monkeypatch):
    git("config", "uploadpack.allowFilter", "true", cwd=up)
    (repo / "far").mkdir()
    (repo / "far/old.py").write_text("old")
    git("add", "far/old.py")
    git("commit", "-qm", "2")
    git("push", "-q", "origin", "main")
    git("clone", "-q", "--filter=blob:none", "--sparse", up.as_uri(), str(tmp_path / "sh"))
    monkeypatch.chdir(tmp_path / "sh")
    Path("train.py").write_text("dirty\n")
    run = made()
    assert run.snapshot
    print(ask("push", run.run_id, codes=(0, 1)))
    assert verdicts(run.run_id) == "reproducible"


def test_edit_run_commit(repo, git, up):
    (repo / "train.py").write_text("better\n")
    (repo / "new.py").write_text("new\n")
    run = made()
    git("add", "-A")
    git("commit", "-qm", "better")
    (hit,) = answered("HEAD").hits
    assert (hit.run.run_id, hit.how, hit.match) == (run.run_id, "before", "exact")


def test_edit_run_edit_commit(repo, git, up):
    (repo / "train.py").write_text("better\n")
    run = made()
    (repo / "train.py").write_text("best\n")
    git("add", "-A")
    git("commit", "-qm", "better")
    answer = answered("HEAD")
    hits = list(answer.hits)
    print(hits, answer)
    answer = answered("HEAD~1")
    hits = list(answer.hits)
    print(hits, answer)
    assert hits[0].differs == ("train.py",)


def test_incomplete_run(repo, git, up):
    (repo / "train.py").write_text("better\n")
    (repo / "large.json").write_text(" " * 1_000_001)
    run = made()
    print(run.tags)
    git("add", "-A")
    git("commit", "-qm", "better")
    answer = answered("HEAD")
    hits = list(answer.hits)
    print(hits, answer)
    answer = answered("HEAD~1")
    hits = list(answer.hits)
    print(hits, answer)
    print(ask("verify", run.run_id, codes=(0, 1, 2)))


def test_off(repo, git, up, monkeypatch):
    monkeypatch.setenv("MLFLOW_DVC_SNAPSHOT", "off")
    (repo / "train.py").write_text("better\n")
    run = made()
    git("add", "-A")
    git("commit", "-qm", "better")
    answer = answered("HEAD")
    hits = list(answer.hits)
    print(hits, answer)
    print(ask("verify", run.run_id, codes=(0, 1, 2)))
    print(ask("push", run.run_id, codes=(0, 1, 2)))


def test_submodule_code(repo, git, up, monkeypatch, tmp_path):
    git("init", "-q", str(tmp_path / "super"))
    git("submodule", "--quiet", "add", up.as_uri(), "sub", cwd=tmp_path / "super")
    git("commit", "-qm", "sub", cwd=tmp_path / "super")
    monkeypatch.chdir(tmp_path / "super/sub")
    Path("train.py").write_text("dirty\n")
    before = git_state(tmp_path / "super", git), git_state(tmp_path / "super/sub", git)
    run = made()
    after = git_state(tmp_path / "super", git), git_state(tmp_path / "super/sub", git)
    for a, b in zip(before, after):
        for k in a:
            if k != "bytes": assert a[k] == b[k], k
            else:
                bad = [(n, a[k].get(n), b[k].get(n)) for n in {*a[k], *b[k]} if a[k].get(n) != b[k].get(n)]
                assert not bad
    assert run.snapshot
    git("gc", "-q", "--prune=now")
    ask("push", run.run_id)
    assert verdicts(run.run_id) == "reproducible"
    ask("restore", run.run_id, "--to", str(tmp_path / "back"))
    assert (tmp_path / "back/train.py").read_text() == "dirty\n"


def test_bare_worktree(repo, git, up, monkeypatch, tmp_path):
    git("clone", "-q", "--bare", up.as_uri(), str(tmp_path / "bare.git"))
    git("worktree", "add", "-q", str(tmp_path / "wt"), "main", cwd=tmp_path / "bare.git")
    monkeypatch.chdir(tmp_path / "wt")
    Path("train.py").write_text("dirty\n")
    run = made()
    assert run.snapshot
    git("gc", "-q", "--prune=now")
    print(verdicts(run.run_id))
    ask("push", run.run_id)
    print(verdicts(run.run_id))
    print(ask("prune"))
    ask("restore", run.run_id, "--to", str(tmp_path / "back"))
    assert (tmp_path / "back/train.py").read_text() == "dirty\n"


def test_in_hook(repo, git, up, tmp_path):
    code = "import mlflow;\nwith mlflow.start_run() as r: pass\nprint(mlflow.get_run(r.info.run_id).data.tags)"
    (tmp_path / "run.py").write_text(code)
    for event in ("pre-commit", "post-commit", "commit-msg", "post-checkout", "pre-push"):
        hook = repo / ".git/hooks" / event
        hook.write_text(f"#!/bin/sh\n{sys.executable} {tmp_path}/run.py >> {tmp_path}/out-{event} 2>&1\n")
        hook.chmod(0o755)
    (repo / "train.py").write_text("dirty\n")
    (repo / "b.py").write_text("dirty\n")
    git("add", "b.py")
    git("commit", "-qm", "b", "train.py", "-i")
    (repo / "train.py").write_text("dirty again\n")
    git("commit", "-qam", "b")
    git("push", "-q", "origin", "main")
    for p in sorted(tmp_path.glob("out-*")):
        print(p.name, re.findall(r"'git[^,]*,|not kept[^\n]*", p.read_text()))


def test_prune_in_a_notebook(repo, git, up):
    import mlflow
    (repo / "train.py").write_text("dirty\n")
    time.sleep(0.1)
    run = made()
    time.sleep(0.1)
    mlflow.delete_run(run.run_id)
    print(ask("prune"))
    git("gc", "-q", "--prune=now")
    again = made()
    assert git("cat-file", "-t", again.snapshot) == "commit"
    assert repository.kept(str(repo / ".git")) == [again.snapshot]
