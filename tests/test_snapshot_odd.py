"""What a snapshot must be right about although it looks otherwise: times, settings, damage."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from conftest import Git
from snapshotting import brought_back, files_in, start

from mlflow_dvc_plugin.gitrepo import snapshot as repository


def content(git: Git, tags: dict[str, str], path: str) -> str:
    return git("show", f"{tags['git.snapshot']}:{path}")


def test_an_edit_within_the_second_of_the_index_is_kept(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    """Git takes the file for unchanged unless it sees how old the index is (racy-git)."""
    (repo / "conf.yaml").write_text("rate: 0.1\n")
    git("add", "conf.yaml")
    git("commit", "-qm", "conf")
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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GIT_CONFIG", "/dev/null"), ("GIT_COMMITTER_DATE", "nonsense"), ("GIT_DIR", "/nowhere"),
        ("GIT_INDEX_FILE", "/nowhere/index"), ("GIT_WORK_TREE", "/"), ("GIT_TRACE", "1"),
        ("GIT_OBJECT_DIRECTORY", "/nowhere"), ("GIT_EXTERNAL_DIFF", "false"),
    ],
)  # fmt: skip
def test_variables_of_git_change_nothing(  # noqa: PLR0917
    repo: Path, git: Git, tracking_sqlite: str, monkeypatch: pytest.MonkeyPatch, name: str,
    value: str,
) -> None:  # fmt: skip
    (repo / "train.py").write_text("dirty\n")
    monkeypatch.setenv(name, value)
    tags = start()
    monkeypatch.delenv(name)
    assert content(git, tags, "train.py") == "dirty"


def test_file_names_may_be_anything(
    repo: Path, git: Git, tracking_sqlite: str, tmp_path: Path
) -> None:
    names = [b"a\nb.py", b"\xff\xfe.py", b"-x.py", b":(glob)*.py", b'q"uote.py', b" sp .py",
             b":x.py", b"a\\b.py", b"*.py", b"git~1.py", b"x\ty.py", b"A.py", b"a.py"]  # fmt: skip
    paths = [repo / os.fsdecode(name) for name in names]
    for number, path in enumerate(paths):
        path.write_text(f"{number}\n")
    for name in names[:6]:
        git("--literal-pathspecs", "add", "--", name)
    git("commit", "-qm", "odd")
    for number, path in enumerate(paths):
        path.write_text(f"changed {number}\n")
    git("config", "core.ignorecase", "true")
    tags = start()
    git("config", "core.ignorecase", "false")
    assert brought_back(git, tags["git.snapshot"], tmp_path / "back") == files_in(repo)


def test_what_is_no_file_is_named_and_the_rest_is_kept(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    (repo / "train.py").unlink()
    os.mkfifo(repo / "train.py")
    os.mkfifo(repo / "never-tracked.py")
    (repo / "more.py").write_text("more\n")
    tags = start()
    assert content(git, tags, "more.py") == "more"
    assert tags["git.snapshot.incomplete"] == '["train.py"]'


def test_a_file_that_cannot_be_read_is_named_and_the_rest_is_kept(
    repo: Path, tmp_path: Path
) -> None:
    (repo / "train.py").write_text("dirty\n")
    (repo / "other.yaml").write_text("a: 1\n")
    command = [sys.executable, "-c", _CAPTURE]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root reads everything")
        other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        probe = [*other, sys.executable, "-c", "import mlflow_dvc_plugin.capture.live"]
        if subprocess.run(probe, cwd="/", capture_output=True, check=False).returncode:
            pytest.skip("another user may not start Python here")
        command = [*other, *command]
        subprocess.run(["chown", "-R", "65534:65534", str(repo)], check=True)
        top = Path(tempfile.gettempdir())
        for folder in (tmp_path, *(one for one in tmp_path.parents if top in one.parents)):
            folder.chmod(0o755)
    (repo / "other.yaml").chmod(0)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "True ('other.yaml',)\n", done.stdout + done.stderr


_CAPTURE = (
    "from mlflow_dvc_plugin.capture.live import Facts, capture;"
    "code = capture(Facts(), keep='new')[0].code;"
    "print(code.snapshot is not None, code.incomplete)"
)


def test_the_file_store_of_mlflow_is_never_kept(
    repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(repo / "tracking"))
    (repo / "train.py").write_text("dirty\n")
    assert len({start()["git.snapshot"] for _ in range(3)}) == 1


def test_a_notebook_after_prune_keeps_its_tree_anew(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    (repo / "train.py").write_text("dirty\n")
    time.sleep(0.1)  # settled: the next run asks nothing of Git
    first = start()["git.snapshot"]
    repository.forget(str(repo / ".git"), {first})
    assert start()["git.snapshot"] == first
    assert repository.kept(str(repo / ".git")) == [first]


def test_worktrees_that_start_the_first_runs_at_once(repo: Path, git: Git, tmp_path: Path) -> None:
    config = repo / ".git/config.lock"  # as while one of them writes it
    config.write_text("")
    places = [tmp_path / f"tree{number}" for number in range(3)]
    for place in places:
        git("worktree", "add", "-q", "--detach", str(place))
        (place / "train.py").write_text(place.name)
    many = [
        subprocess.Popen([sys.executable, "-c", _CAPTURE], cwd=place, stdout=subprocess.PIPE)
        for place in places
    ]
    time.sleep(0.7)
    config.unlink()
    assert {process.communicate()[0] for process in many} == {b"True ()\n"}
    assert len(repository.kept(str(repo / ".git"))) == 3
