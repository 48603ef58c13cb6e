"""Files of many commits are those of each commit, however odd, and are asked for together."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest

from mlflow_dvc_plugin.capture.discovery import commit_metadata_files
from mlflow_dvc_plugin.capture.files import CommitFiles
from mlflow_dvc_plugin.capture.trees import TreeFiles, Trees
from mlflow_dvc_plugin.gitrepo import GitError, objects

from .conftest import Write, commit, run_git

ENTRY = "outs: [{path: x}]\n"
ODD = {
    "data/x.dvc": ENTRY, "data/deep/a b/é.dvc": ENTRY, "dvc.yaml": "", "dvc.lock": "",
    "sub/.dvc/config": "", "sub/.dvc/plots/t.dvc": ENTRY, "sub/dvc.yaml": "", "x.py": "1",
    ".dvcignore": "/data/deep\n", "line\nbreak.dvc": ENTRY, "tab\t.dvc": ENTRY, "e.dvc": "",
}  # fmt: skip


def _same(root: Path, rev: str, known: Trees) -> None:
    one, many = CommitFiles(str(root), rev), TreeFiles(known, rev)
    paths = {
        *one.paths,
        "data",
        "data/",
        "./data/x.dvc",
        "sub/../x.py",
        "nowhere",
        "x.py/y",
        "",
        ".",
    }
    for path in paths:
        assert one.exists(path) == many.exists(path), path
        assert one.is_dir(path) == many.is_dir(path), path
        assert one.identity(path) == many.identity(path), path
        assert one.read(path) == many.read(path), path
    for folder in ("", "sub"):
        assert commit_metadata_files(one, folder) == commit_metadata_files(many, folder)
    assert run_git(root, "rev-parse", f"{rev}^{{tree}}") == many.tree


def test_files_are_those_of_each_commit(make: Write) -> None:
    root = make(ODD)
    os.symlink("x.dvc", root / "data/link.dvc")
    os.symlink("data", root / "folder.dvc")
    Path(os.fsdecode(os.fsencode(root) + b"/\xff.dvc")).write_text(ENTRY)
    shutil.copytree(root / ".git", root / "module/.git")
    (root / "module/in").write_text("")
    run_git(root / "module", "add", "in")
    run_git(root / "module", "commit", "-qm", "inside")
    commits = [commit(root)]
    (root / "data/x.dvc").write_text("")
    (root / "e.dvc").unlink()
    commits.append(commit(root))
    shutil.rmtree(root / "data")
    (root / "data").write_text("a file now")
    commits.append(commit(root))
    together = Trees(str(root))
    together.load(commits)
    for rev in commits:
        _same(root, rev, together)
        _same(root, rev, Trees(str(root)))


def test_a_repository_with_sha256_is_read(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--object-format=sha256", str(tmp_path)], check=True)
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/x.dvc").write_text(ENTRY)
    run_git(tmp_path, "add", "a")
    run_git(tmp_path, "commit", "-qm", "c")
    rev = run_git(tmp_path, "rev-parse", "HEAD")
    assert len(rev) == 64
    assert list(TreeFiles(Trees(str(tmp_path)), rev).paths) == ["a/b/x.dvc"]


def test_what_is_no_commit_here_is_said(make: Write) -> None:
    root = make(ODD)
    rev = commit(root)
    known = Trees(str(root))
    for name in (
        "0" * 40,
        "HEAD",
        rev[:12],
        "",
        f"{rev}\n{rev}",
        run_git(root, "rev-parse", "HEAD:x.py"),
    ):
        assert known.root(name) is None
        with pytest.raises(GitError, match="there is no commit"):
            TreeFiles(known, name)
    assert known.root(rev) is not None


def _remove(root: Path, name: str) -> None:
    lost = run_git(root, "rev-parse", name)
    (root / ".git/objects" / lost[:2] / lost[2:]).unlink()


def test_a_lost_object_is_named_and_harms_no_other_commit(make: Write) -> None:
    root = make(ODD)
    first = commit(root)
    (root / "data/x.dvc").write_text("")
    second = commit(root)
    _remove(root, f"{first}:data")
    _remove(root, f"{second}:data/x.dvc")
    known = Trees(str(root))
    known.load([first, second])
    with pytest.raises(GitError, match="is missing from the Git repository"):
        TreeFiles(known, first)
    files = TreeFiles(known, second)
    with pytest.raises(OSError, match="missing from the Git repository"):
        files.read("data/x.dvc")
    assert files.read("data/deep/a b/é.dvc") == ENTRY.encode()


def test_folders_without_end_are_refused(make: Write) -> None:
    root = make({})
    tree = run_git(root, "hash-object", "-w", "-t", "tree", "/dev/null")
    for _ in range(1100):
        data = b"40000 d\0" + bytes.fromhex(tree)
        data = b"tree %d\0%s" % (len(data), data)
        tree = hashlib.sha1(data).hexdigest()
        path = root / ".git/objects" / tree[:2] / tree[2:]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(zlib.compress(data))
    rev = run_git(root, "commit-tree", "-m", "deep", tree)
    with pytest.raises(GitError, match="nested too deeply"):
        TreeFiles(Trees(str(root)), rev)


def test_many_objects_come_in_several_requests(
    make: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make(ODD)
    rev = commit(root)
    monkeypatch.setattr(objects, "_AT_ONCE", 2)
    _same(root, rev, Trees(str(root)))
