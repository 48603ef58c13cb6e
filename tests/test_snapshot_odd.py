"""What a snapshot must be right about although it looks otherwise: times, settings, damage."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Git
from snapshotting import brought_back, files_in, git_state, start


def content(git: Git, tags: dict[str, str], path: str) -> str:
    return git("show", f"{tags['git.snapshot']}:{path}")


def test_an_edit_within_the_second_of_the_index_is_kept(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    """Git takes the file for unchanged unless it sees how old the index is (racy-git)."""
    (repo / "conf.yaml").write_text("rate: 0.1\n")
    git("add", "conf.yaml")
    git("commit", "-qm", "conf")
    now = time.time_ns() // 10**9 * 10**9
    (repo / "train.py").write_text("dirty\n")
    while True:  # all within one second
        (repo / "conf.yaml").write_text("rate: 0.2\n")
        git("add", "conf.yaml")
        (repo / "conf.yaml").write_text("rate: 0.3\n")
        times = [(repo / name).stat() for name in ("conf.yaml", ".git/index")]
        if times[0].st_mtime_ns // 10**9 == times[1].st_mtime_ns // 10**9:
            break
    time.sleep(1.1)
    assert content(git, start(), "conf.yaml") == "rate: 0.3"


def test_after_the_reflogs_were_emptied_the_same_tree_is_kept_anew(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    """BFG and filter-repo tell people to do just that."""
    (repo / "train.py").write_text("dirty\n")
    first = start()["git.snapshot"]
    git("reflog", "expire", "--expire=now", "--expire-unreachable=now", "--all")
    git("gc", "-q", "--prune=now")
    again = start().get("git.snapshot")
    assert again == first
    git("gc", "-q", "--prune=now")
    assert git("cat-file", "-t", again) == "commit"


def test_after_the_reflogs_were_emptied_without_a_collection(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    (repo / "train.py").write_text("dirty\n")
    first = start()["git.snapshot"]
    git("reflog", "expire", "--expire=now", "--expire-unreachable=now", "--all")
    assert start().get("git.snapshot") == first
    git("gc", "-q", "--prune=now")
    assert git("cat-file", "-t", first) == "commit"


@pytest.mark.parametrize(("name", "value"), [
    ("GIT_CONFIG", "/dev/null"), ("GIT_COMMITTER_DATE", "nonsense"), ("GIT_DIR", "/nowhere"),
    ("GIT_INDEX_FILE", "/nowhere/index"), ("GIT_WORK_TREE", "/"), ("GIT_TRACE", "1"),
    ("GIT_LITERAL_PATHSPECS", "1"), ("GIT_OBJECT_DIRECTORY", "/nowhere"),
    ("GIT_NAMESPACE", "x"), ("GIT_AUTHOR_IDENT", ""), ("GIT_CEILING_DIRECTORIES", "/"),
    ("GIT_DEFAULT_HASH", "sha256"), ("GIT_ALLOW_PROTOCOL", "none"), ("GIT_REFLOG_ACTION", "x"),
    ("GIT_EXTERNAL_DIFF", "false"), ("GIT_FLUSH", "0"), ("GIT_ICASE_PATHSPECS", "1"),
    ("GIT_TRACE2", "1"),("GIT_ATTR_SOURCE", "HEAD"),("GIT_TEST_SPLIT_INDEX","1"),
])
def test_variables_change_nothing(
    repo: Path, git: Git, tracking_sqlite: str, monkeypatch: pytest.MonkeyPatch, name: str,
    value: str,
) -> None:
    (repo / "train.py").write_text("dirty\n")
    monkeypatch.setenv(name, value)
    tags = start()
    monkeypatch.delenv(name)
    assert content(git, tags, "train.py") == "dirty"


def test_core_worktree_elsewhere(repo: Path, git: Git, tracking_sqlite: str, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    subprocess.run(["cp", "-r", str(repo), str(other)], check=True)
    import shutil
    shutil.rmtree(other / ".git")
    git("config", "core.worktree", str(other))
    (other / "train.py").write_text("dirty\n")
    (repo / "train.py").write_text("not this\n")
    tags = start()
    print(tags)
    if "git.snapshot" in tags:
        assert content(git, tags, "train.py") == "dirty"


def test_odd_names(repo: Path, git: Git, tracking_sqlite: str, tmp_path: Path) -> None:
    names = [b"a\nb.py", b"\xff\xfe.py", b"-x.py", b":(glob)*.py", b":x.py", b'q"uote.py', b" sp .py", b"a\\b.py", "é.py".encode(), b"*.py", b"--add", b"aux.py", b"con.py", b"git~1.py", b"x\ty.py", b"A.py", b"a.py", b"caf\xe9.yaml"]
    for name in names:
        Path(os.fsdecode(os.fsencode(str(repo)) + b"/" + name)).write_bytes(b"untracked " + name)
    for name in names[:6]:
        git("--literal-pathspecs", "add", "--", name)
    git("commit", "-qm", "odd")
    for name in names:
        Path(os.fsdecode(os.fsencode(str(repo)) + b"/" + name)).write_bytes(b"changed " + name)
    git("config", "core.ignorecase", "true")
    tags = start()
    git("config", "core.ignorecase", "false")
    assert "git.snapshot.incomplete" not in tags
    got = brought_back(git, tags["git.snapshot"], tmp_path / "back")
    want = files_in(repo)
    want.pop("--add")
    assert got == want


def test_a_pipe_and_a_socket_with_names_of_source_files(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    os.mkfifo(repo / "pipe.py")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket.py")
        (repo / "train.py").write_text("dirty\n")
        tags = start()
    assert content(git, tags, "train.py") == "dirty"


def test_tracked_replaced_by_pipe(repo: Path, git: Git, tracking_sqlite: str) -> None:
    (repo / "train.py").unlink()
    os.mkfifo(repo / "train.py")
    (repo / "b.py").write_text("x")
    began = time.time()
    tags = start()
    print(tags, time.time() - began)
    assert time.time() - began < 4
    assert "git.snapshot" in tags


def test_nested_git_in_tracked_folder(repo: Path, git: Git, tracking_sqlite: str) -> None:
    (repo / "lib").mkdir()
    (repo / "lib/a.py").write_text("1\n")
    git("add", "lib")
    git("commit", "-qm", "lib")
    (repo / "lib/a.py").write_text("2\n")
    git("init", "-q", "lib")
    tags = start()
    print(tags)
    print(git("status", "--porcelain"))
    assert content(git, tags, "lib/a.py") == "2"


def test_mlflow_store_elsewhere(repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(repo / "tracking"))
    (repo / "train.py").write_text("dirty\n")
    found = set()
    for _ in range(3):
        with mlflow.start_run() as run:
            mlflow.log_dict({"a": run.info.run_id}, "x.json")
        tags = mlflow.get_run(run.info.run_id).data.tags
        found.add(tags["git.snapshot"])
    print(git("ls-tree", "-r", "--name-only", found.pop()))
    assert not found


def test_unreadable(repo: Path, git: Git) -> None:
    (repo / "train.py").write_text("dirty\n")
    (repo / "other.yaml").write_text("dirty\n")
    (repo / "other.yaml").chmod(0)
    subprocess.run(["chmod", "-R", "a+rwX", str(repo / ".git"), str(repo)], check=True)
    (repo / "other.yaml").chmod(0)
    code = ("from mlflow_dvc_plugin.capture.live import Facts, capture;"
        "x=capture(Facts(), keep='new')[0];print(x.code, x.warnings)")
    for p in repo.parents:
        if str(p).startswith("/tmp/"):
            p.chmod(0o755)
    out = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", code],
        env={**os.environ, "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"},
        capture_output=True, text=True)
    print(out)
    assert "snapshot='" in out.stdout
