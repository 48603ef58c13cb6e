"""Which metadata files there are: what DVC's walk finds, without walking."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlflow_dvc_plugin import dvcrepo
from mlflow_dvc_plugin.capture.discovery import metadata_files
from mlflow_dvc_plugin.capture.files import WorktreeFiles
from mlflow_dvc_plugin.capture.metadata import load
from mlflow_dvc_plugin.capture.walk import walk_metadata_files

from . import conftest as given
from .conftest import Outs, Write, commit, dvc_outs, load_commit, load_worktree, outs_of, write

CHECKOUT = Path(__file__).resolve().parents[2]


def dvc_file(name: str = "x", fill: str = "a") -> str:
    return f"outs:\n- {{md5: {fill * 32}, hash: md5, path: {name}}}\n"


def walked(root: Path, dvc_root: str = "", memo: dict[str, Any] | None = None) -> Outs:
    memo = {} if memo is None else memo
    found = walk_metadata_files(str(root), dvc_root, memo)
    assert not found.unknown
    files = WorktreeFiles(str(root))
    return outs_of(load(files, str(root), dvc_root, found.paths, memo, absent=found.absent))


def paths_everywhere(root: Path, dvc_root: str = "") -> set[str]:
    """Return the outputs' paths, the same by Git, by a walk, in a commit and by DVC."""
    outs, broken = dvc_outs(root, dvc_root)
    assert not broken
    assert outs_of(load_worktree(root, dvc_root)) == outs
    assert walked(root, dvc_root) == outs
    rev = commit(root)
    assert outs_of(load_commit(root, rev, dvc_root)) == outs
    assert dvc_outs(root, dvc_root, rev)[0] == outs
    assert outs_of(load_worktree(root, dvc_root)) == outs
    return {path for path, _ in outs}


def test_files_anywhere_are_found_under_any_name(make: Write) -> None:
    root = make({
        "x.dvc": dvc_file(), "a b/c'\"d.dvc": dvc_file("y"), "[a]/ü 中#?%20.dvc": dvc_file("z"),
        "notdvc.yaml": "[", "mydvc.yaml": "[", "x.dvc.txt": "[",
    })  # fmt: skip
    assert paths_everywhere(root) == {"x", "a b/y", "[a]/z"}


def test_a_newline_in_a_name_is_kept_where_dvc_loses_it(make: Write) -> None:
    root = make({"new\nline/x.dvc": dvc_file()})
    expected = {("new\nline/x", "a" * 32)}
    assert outs_of(load_worktree(root)) == walked(root) == dvc_outs(root)[0] == expected
    rev = commit(root)
    assert outs_of(load_commit(root, rev)) == expected
    assert dvc_outs(root, "", rev)[0] == {("newline/x", "a" * 32)}


def test_a_name_that_is_not_utf8_is_found(make: Write) -> None:
    folder = os.fsdecode(b"raw\xff")
    root = make({f"{folder}/x.dvc": dvc_file()})
    assert outs_of(load_worktree(root)) == walked(root) == {(f"{folder}/x", "a" * 32)}
    assert outs_of(load_commit(root, commit(root))) == {(f"{folder}/x", "a" * 32)}


def test_nested_dvc_repositories_are_repositories_of_their_own(make: Write) -> None:
    root = make({
        "x.dvc": dvc_file(), "sub/y.dvc": dvc_file("y"), "sub/.dvc/config": "",
        "sub/deep/z.dvc": dvc_file("z"), "sub/deep/.dvc/config": "", "sub/w/z.dvc": dvc_file("z"),
    })  # fmt: skip
    assert paths_everywhere(root) == {"x"}
    assert paths_everywhere(root, "sub") == {"sub/y", "sub/w/z"}
    assert paths_everywhere(root, "sub/deep") == {"sub/deep/z"}


def test_files_in_dvcs_own_folder_do_not_count(make: Write) -> None:
    root = make({".dvc/plots/x.dvc": dvc_file(), "a/.hg/y.dvc": dvc_file(), "z.dvc": dvc_file("z")})
    assert paths_everywhere(root) == {"z"}


def test_dvcignored_files_do_not_count(make: Write) -> None:
    root = make({
        ".dvcignore": "# comment\n/skip/\n*.tmp.dvc\n!keep.tmp.dvc\n", "x.dvc": dvc_file(),
        "skip/a.dvc": dvc_file("a"), "sub/skip/b.dvc": dvc_file("b"), "c.tmp.dvc": dvc_file("c"),
        "keep.tmp.dvc": dvc_file("k"), "sub/.dvcignore": "local\n", "sub/local/d.dvc": dvc_file(),
        "other/local/e.dvc": dvc_file("e"),
    })  # fmt: skip
    assert paths_everywhere(root) == {"x", "sub/skip/b", "k", "other/local/e"}


def test_a_dvcignored_lock_counts_as_absent(make: Write) -> None:
    lock = f"schema: '2.0'\nstages: {{s: {{cmd: x, outs: [{{path: o, md5: {'a' * 32}}}]}}}}\n"
    root = make({
        ".dvcignore": "*.lock\n", "dvc.yaml": "stages: {s: {cmd: x, outs: [o]}}\n",
        "dvc.lock": lock,
    })  # fmt: skip
    assert paths_everywhere(root) == {"o"}
    assert outs_of(load_worktree(root)) == {("o", None)}


def test_metadata_inside_an_output_is_data(make: Write) -> None:
    root = make({
        "data.dvc": dvc_file("data"), "data/inner.dvc": "[", "data/deep/dvc.yaml": "[",
        "dvc.yaml": "stages: {s: {cmd: x, wdir: w, outs: [o]}}\n", "w/o/x.dvc": "[",
        "data2/y.dvc": dvc_file("y"),
    })  # fmt: skip
    assert paths_everywhere(root) == {"data", "w/o", "data2/y"}


def test_tracked_files_that_git_would_ignore_do_not_count(make: Write) -> None:
    root = make({
        "x.dvc": dvc_file(), "ig/y.dvc": dvc_file("y"), "z.ig.dvc": dvc_file("z"),
        "kept/w.dvc": dvc_file("w"),
    })  # fmt: skip
    commit(root)
    write(root, {".gitignore": "/ig\n*.ig.dvc\n"})
    assert outs_of(load_worktree(root)) == dvc_outs(root)[0] == {
        ("x", "a" * 32), ("kept/w", "a" * 32),
    }  # fmt: skip


def test_untracked_and_ignored_files_are_as_in_dvc(make: Write) -> None:
    root = make({"x.dvc": dvc_file(), ".gitignore": "/ig\n", "ig/y.dvc": dvc_file("y")})
    assert outs_of(load_worktree(root)) == dvc_outs(root)[0] == {("x", "a" * 32)}


def test_a_deleted_file_does_not_count(make: Write) -> None:
    root = make({"x.dvc": dvc_file(), "y.dvc": dvc_file("y")})
    commit(root)
    (root / "y.dvc").unlink()
    assert outs_of(load_worktree(root)) == dvc_outs(root)[0] == {("x", "a" * 32)}


def test_a_folder_replaced_by_a_link_is_not_entered(make: Write) -> None:
    root = make({"d/x.dvc": dvc_file(), "y.dvc": dvc_file("y")})
    commit(root)
    (root / "d").rename(root / ".git/d")
    (root / "d").symlink_to(root / ".git/d")
    assert outs_of(load_worktree(root)) == dvc_outs(root)[0] == walked(root) == {("y", "a" * 32)}


def test_submodules_and_nested_git_repositories_are_entered(make: Write) -> None:
    part = make({"in/x.dvc": dvc_file(), "ig/y.dvc": dvc_file("y"), ".gitignore": "ig\n"})
    (part / ".dvc/config").unlink()
    for name in (".dvc/.gitignore", ".dvc"):
        path = part / name
        path.rmdir() if path.is_dir() else path.unlink()
    commit(part)
    root = make({"z.dvc": dvc_file("z")})
    allow = ("-c", "protocol.file.allow=always")
    given.run_git(root, *allow, "submodule", "add", "-q", str(part), "sub m")
    commit(root)
    given.run_git(root, "clone", "-q", str(part), "nested")
    given.run_git(root, "clone", "-q", str(part), "nested/again")
    write(root, {"nested/own.dvc": dvc_file("own")})
    expected = {"z", "sub m/in/x", "nested/in/x", "nested/own", "nested/again/in/x"}
    assert {path for path, _ in outs_of(load_worktree(root))} == expected
    assert outs_of(load_worktree(root)) == dvc_outs(root)[0]


def test_a_repository_without_git_is_walked(make: Write, tmp_path: Path) -> None:
    root = write(tmp_path / "plain", {
        ".dvc/config": "[core]\n    no_scm = True\n", "x.dvc": dvc_file(),
        "data.dvc": dvc_file("data"), "data/y.dvc": "[", "sub/.dvc/config": "", "sub/z.dvc": "[",
        ".dvcignore": "skip\n", "a/skip/w.dvc": "[", "dvc.yaml": "stages: {}\n",
    })  # fmt: skip
    assert walked(root) == dvc_outs(root)[0] == {("x", "a" * 32), ("data", "a" * 32)}


def test_a_folder_that_cannot_be_listed_is_unknown(tmp_path: Path) -> None:
    found = walk_metadata_files(str(tmp_path / "gone"), "", {})
    assert found.unknown == {".": "No such file or directory"}


def test_a_broken_dvcignore_is_unknown_and_hides_nothing(make: Write) -> None:
    root = make({".dvcignore": b"\xff\n", "x.dvc": dvc_file()})
    found = metadata_files(str(root), "", ["x.dvc"], [], {})
    assert (found.paths, set(found.unknown)) == (["x.dvc"], {".dvcignore"})
    found = walk_metadata_files(str(root), "", {})
    assert (found.paths, set(found.unknown)) == (["x.dvc"], {".dvcignore"})


def test_dvc_is_imported_only_for_a_dvcignore_with_patterns_and_once(make: Write) -> None:
    root = make({".dvcignore": "# nothing\n\n", "x.dvc": dvc_file(), "skip.dvc": dvc_file("s")})
    script = (
        "import sys, json; from mlflow_dvc_plugin.capture.discovery import metadata_files\n"
        f"memo = json.loads({{memo!r}}); found = metadata_files({str(root)!r}, '',"
        " ['x.dvc', 'skip.dvc'], [], memo)\n"
        "print(json.dumps([found.paths, 'dvc' in sys.modules, memo]))"
    )

    def ask(memo: str) -> list[Any]:
        done = subprocess.run(
            [sys.executable, "-c", script.format(memo=memo)], cwd=CHECKOUT, check=True,
            capture_output=True, text=True,
        )  # fmt: skip
        import json

        return list(json.loads(done.stdout))

    import json

    assert ask("{}")[:2] == [["skip.dvc", "x.dvc"], False]
    write(root, {".dvcignore": "skip.dvc\n"})
    names, imported, memo = ask("{}")
    assert (names, imported) == (["x.dvc"], True)
    assert ask(json.dumps(memo))[:2] == [["x.dvc"], False]
    write(root, {".dvcignore": "x.dvc\n"})
    assert ask(json.dumps(memo))[:2] == [["skip.dvc"], True]


@pytest.mark.parametrize("pattern", ["", "*.log\nskip/\n"])
@pytest.mark.parametrize("nested", [False, True])
def test_a_data_directory_is_walked_as_dvc_hashes_it(
    make: Write, pattern: str, nested: bool
) -> None:
    from dvc.repo import Repo
    from dvc_data.hashfile.build import build

    root = make({
        ".dvcignore": pattern, "data/a": "1", "data/x.log": "2", "data/skip/b": "3",
        "data/.git/c": "4", "data/.hg/d": "5", "data/sub/.dvc/config": "",
        "data/sub/f": "7", "data/g/.git": "8", "data/g/h": "9",
    })  # fmt: skip
    if nested:
        write(root, {"data/.dvc/config": ""})
    (root / "data/linked").symlink_to(root / "data/g")
    (root / "data/file").symlink_to(root / "data/a")
    data = str(root / "data")
    ours = {
        os.path.relpath(os.path.join(folder, name), data)
        for folder, names in dvcrepo.walk_data(str(root), data)
        for name in names
    }
    with Repo(str(root)) as repo:
        odb = repo.cache.local
        _, _, tree = build(odb, data, repo.fs, "md5", ignore=repo.dvcignore, dry_run=True)
    assert ours == {"/".join(key) for key, _, _ in tree}
