"""The outputs and hashes of whole repositories equal those of DVC's own index."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlflow_dvc_plugin.capture.files import WorktreeFiles
from mlflow_dvc_plugin.capture.metadata import load
from mlflow_dvc_plugin.capture.walk import walk_metadata_files

from .conftest import (
    Write,
    commit,
    dvc_outs,
    load_commit,
    load_worktree,
    outs_of,
    run_git,
    write,
)  # fmt: skip

Contents = dict[str, str | bytes]

_hash = st.sampled_from("0123456789abcdef").map(lambda digit: digit * 32)
# A hash can look like a number; written as JSON it is quoted, as DVC does.
_name = st.sampled_from([
    "a", "b.csv", "c d", "é", "e#f", "yes", "012", "1:30", "g'h", "x:y", "~", "-k", "m.dvcx",
    "n%20",
])  # fmt: skip
_folder = st.sampled_from(["", "p", "p/q", "p/q/r", "s t", "sub", "sub/in", "ig", "skip", "d/skip"])
_flags: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "cache": st.booleans(), "push": st.booleans(), "persist": st.booleans(),
        "desc": st.just("d"), "type": st.just("model"), "remote": st.just("r"),
    },
)  # fmt: skip


@st.composite
def _state(draw: st.DrawFn) -> dict[str, Any]:
    """Draw what an entry says about content."""
    kind = draw(st.sampled_from(["file", "dir", "none", "cloud", "listed", "old", "nfiles"]))
    value = draw(_hash)
    states: dict[str, dict[str, Any]] = {
        "file": {"md5": value, "size": 3, "hash": "md5"},
        "dir": {"md5": f"{value}.dir", "size": 9, "nfiles": 2, "hash": "md5"},
        "none": {"hash": "md5"},
        "old": {"md5": value, "isexec": True},
        "cloud": {"md5": value, "hash": "md5", "cloud": {"r": {"etag": "abc", "version_id": "v"}}},
        "nfiles": {"nfiles": 0, "size": 0, "md5": f"{value}.dir"},
        "listed": {
            "hash": "md5",
            "files": [
                {"relpath": name, "md5": value, "cloud": {"r": {"version_id": "v"}}}
                for name in draw(st.lists(_name, unique=True, min_size=1, max_size=3))
            ],
        },
    }
    return states[kind]


@st.composite
def _dvc_file(draw: st.DrawFn) -> str:
    outs = []
    for name in draw(st.lists(_name, min_size=0, max_size=2, unique=True)):
        path = draw(st.sampled_from([name, f"deep/{name}", f"../{name}", f"./{name}/", "q", "r"]))
        outs.append({**draw(_state()), **draw(_flags), "path": path})
    if draw(st.integers(0, 9)) == 0:
        outs.append({"etag": "abc", "path": "s3://bucket/x", "cache": False})
    document: dict[str, Any] = {"outs": outs}
    if draw(st.booleans()):
        document["wdir"] = draw(st.sampled_from([".", "..", "w", "w/../v"]))
    if draw(st.booleans()):
        document |= {"md5": draw(_hash), "frozen": True, "deps": [{"path": "from", "md5": "abc"}]}
    return json.dumps(document)


@st.composite
def _pipeline(draw: st.DrawFn, folder: str) -> Contents:
    stages: dict[str, Any] = {}
    locked: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(["s", "t", "u-v"]), unique=True, max_size=3)):
        kind = draw(st.sampled_from(["plain", "templated", "foreach", "matrix"]))
        outs = draw(st.lists(_name, unique=True, min_size=1, max_size=2))
        paths = [f"{name}-{out}" for out in outs]
        stage: dict[str, Any] = {"cmd": "x ${lr}" if kind != "plain" else "x"}
        if draw(st.booleans()):
            stage["wdir"] = draw(st.sampled_from([".", "w", "..", "w/x"]))
        mark = {"plain": "", "templated": "${deep.v}", "foreach": "${item}", "matrix": "${key}"}
        section = draw(st.sampled_from(["outs", "metrics", "plots"]))
        stage[section] = [
            {path + mark[kind]: flags} if (flags := draw(_flags)) else path + mark[kind]
            for path in paths
        ]
        values = {
            "plain": [""],
            "templated": ["7"],
            "foreach": ["1", "b"],
            "matrix": ["1-b", "2-b"],
        }
        for value in values[kind]:
            key = f"{name}@{value}" if kind in ("foreach", "matrix") else name
            if draw(st.booleans()):
                entries = [{**draw(_state()), "path": path + value} for path in paths]
                locked[key] = {"cmd": "x", "outs": entries}
        if kind == "foreach":
            items = draw(st.sampled_from([[1, "b"], {"one": 1, "two": "b"}]))
            if isinstance(items, dict):
                stage = json.loads(json.dumps(stage).replace("${item}", "${key}"))
            stages[name] = {"foreach": items, "do": stage}
        elif kind == "matrix":
            stages[name] = {"matrix": {"m": [1, 2], "n": "${names}"}, **stage}
        else:
            stages[name] = stage
    document: dict[str, Any] = {"stages": stages}
    if draw(st.booleans()):
        document["artifacts"] = {"best": {"path": "m.pkl", "type": "model"}}
    ascii_only, with_lock = draw(st.booleans()), draw(st.booleans())
    contents: Contents = {
        f"{folder}dvc.yaml": json.dumps(document, ensure_ascii=ascii_only),
        f"{folder}params.yaml": "lr: 1\ndeep: {v: 7}\nnames: [b]\n",
    }
    if locked or with_lock:
        contents[f"{folder}dvc.lock"] = json.dumps({"schema": "2.0", "stages": locked})
    return contents


@st.composite
def _repository(draw: st.DrawFn) -> Contents:
    contents: Contents = {}
    for _ in range(draw(st.integers(0, 5))):
        folder = draw(_folder)
        prefix = f"{folder}/" if folder else ""
        contents[f"{prefix}{draw(_name)}.dvc"] = draw(_dvc_file())
    for folder in draw(st.lists(_folder, unique=True, max_size=2)):
        contents |= draw(_pipeline(f"{folder}/" if folder else ""))
    if draw(st.integers(0, 3)) == 0:
        contents["broken.dvc"] = draw(st.sampled_from([b"[", b"\xff", b"- a\n"]))
    if draw(st.booleans()):
        contents["sub/.dvc/config"] = ""
    if draw(st.booleans()):
        contents[".gitignore"] = "/ig\n"
    if draw(st.booleans()):
        contents[draw(st.sampled_from(["", "d/"])) + ".dvcignore"] = "/skip\n"
    return contents


@settings(
    max_examples=40, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(contents=_repository(), with_git=st.booleans())
def test_any_repository_is_read_as_dvc_reads_it(
    template: Path, contents: Contents, with_git: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "the repository"
        shutil.copytree(template, root)
        write(root, contents)
        if not with_git:
            shutil.rmtree(root / ".git")
            for config in {".dvc/config", "sub/.dvc/config"} & {".dvc/config", *contents}:
                write(root, {config: "[core]\n    no_scm = True\n"})
        for dvc_root in ("", "sub") if "sub/.dvc/config" in contents else ("",):
            _compare(root, dvc_root, with_git)
        if with_git:
            rev = commit(root)
            ours = outs_of(load_commit(root, rev))
            # DVC cannot tell outside from inside there: its root is "/", and "/.." is "/".
            if not any(path.startswith("/") for path, _ in ours):
                assert ours == dvc_outs(root, "", rev)[0]


def _compare(root: Path, dvc_root: str, with_git: bool) -> None:
    outs, broken = dvc_outs(root, dvc_root)
    memo: dict[str, Any] = {}
    for _ in range(2):  # parsed, then remembered
        if with_git:
            found = load_worktree(root, dvc_root, memo)
        else:
            walk = walk_metadata_files(str(root), dvc_root, memo)
            assert not walk.unknown
            files = WorktreeFiles(str(root))
            found = load(files, str(root), dvc_root, walk.paths, memo, absent=walk.absent)
        assert outs_of(found) == outs
        assert set(found.broken) == broken
        memo = json.loads(json.dumps(memo))


def _entry(path: str, fill: str, new: bool = True) -> str:
    scheme = "  hash: md5\n" if new else ""
    return f"outs:\n- md5: {fill * 31}a\n  size: 1\n{scheme}  path: {path}\n"


HISTORY: list[Mapping[str, str | None]] = [
    {"data/x.csv.dvc": _entry("x.csv", "1", new=False)},
    {"data/y.dvc": _entry("y", "2", new=False), "dvc.yaml": "stages: {s: {cmd: x, outs: [o]}}\n"},
    {"dvc.lock": "schema: '2.0'\nstages: {s: {cmd: x, outs: [{path: o, md5: "
     + "3" * 31 + "a}]}}\n"},
    {"data/x.csv.dvc": _entry("x.csv", "4")},
    {"data/y.dvc": None, "data/renamed.dvc": _entry("renamed", "2", new=False)},
    {"sub/.dvc/config": "", "sub/z.dvc": _entry("z", "5"), "sub/deep/w.dvc": _entry("../w", "6")},
    {"dvc.yaml": 'stages: {s: {foreach: [a, b], do: {cmd: x, outs: ["o-${item}"]}}}\n'},
    {"dvc.lock": "schema: '2.0'\nstages: {s@a: {cmd: x, outs: [{path: o-a, hash: md5, md5: "
     + "7" * 31 + "a}]}}\n"},
    {"data/x.csv.dvc": "<<<<<<< HEAD\n"},
    {"data/x.csv.dvc": _entry("x.csv", "8"), ".dvcignore": "data/renamed.dvc\n"},
    {"dvc.yaml": None, "dvc.lock": None, "sub/.dvc/config": None},
    {"sub/all.dvc": _entry("deep", "9")},
]  # fmt: skip


@pytest.mark.parametrize("dvc_root", ["", "sub"])
def test_every_commit_of_a_history_is_read_as_dvc_reads_it(make: Write, dvc_root: str) -> None:
    root = make({})
    for number, change in enumerate(HISTORY):
        for name, content in change.items():
            if content is None:
                (root / name).unlink()
                if name.endswith("config"):
                    shutil.rmtree((root / name).parent)
            else:
                write(root, {name: content})
        rev = commit(root, str(number))
        if dvc_root and not (root / dvc_root / ".dvc").exists():
            continue
        outs, broken = dvc_outs(root, dvc_root, rev)
        found = load_commit(root, rev, dvc_root)
        assert outs_of(found) == outs
        assert set(found.broken) == broken
        assert outs_of(load_worktree(root, dvc_root)) == dvc_outs(root, dvc_root)[0]
    assert run_git(root, "status", "--porcelain") in ("", "?? .dvc/tmp/", "?? sub/.dvc/")


def test_a_top_level_output_hides_metadata_in_commits_too_where_dvc_forgets_it(make: Write) -> None:
    root = make({"d.dvc": _entry("d", "1"), "d/x.dvc": _entry("x", "2")})
    rev = commit(root)
    assert outs_of(load_worktree(root)) == dvc_outs(root)[0] == {("d", "1" * 31 + "a")}
    assert outs_of(load_commit(root, rev)) == {("d", "1" * 31 + "a")}
    assert len(dvc_outs(root, "", rev)[0]) == 2
