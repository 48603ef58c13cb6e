"""Metadata files that cannot be used: named with a reason, hiding no other, raising nothing."""

from __future__ import annotations

import os

import pytest

from mlflow_dvc_plugin.capture.files import WorktreeFiles
from mlflow_dvc_plugin.capture.metadata import load

from .conftest import STAGE, A, B, C, Write, load_worktree, only, outs_of, same_as_dvc

BROKEN = {
    "conflict": f"outs:\n<<<<<<< HEAD\n- md5: {A}\n=======\n- md5: {B}\n>>>>>>> x\n  path: x\n",
    "half-written": "outs:\n- md5: 'abc",
    "not UTF-8": b"outs:\n- path: \xff\xfe\n",
    "NUL": b"outs:\0\0\0",
    "list": "- a\n",
    "text": "version https://git-lfs.github.com/spec/v1\n",
    "unknown key": f"outs:\n- {{md5: {A}, path: x, colour: red}}\n",
    "metric in a .dvc": f"outs:\n- {{md5: {A}, path: x, metric: true}}\n",
    "wrong type": f"outs:\n- {{md5: {A}, path: x, size: big}}\n",
    "short hash": "outs:\n- {md5: ab, path: x}\n",
    "twice": f"outs:\n- {{md5: {A}, path: x, md5: {B}}}\n",
    "two documents": "a: 1\n---\nb: 2\n",
    "date as path": "outs:\n- {path: 2020-01-01}\n",
    "DVC file as output": f"outs:\n- {{md5: {A}, path: y.dvc}}\n",
    "DVC file as dep": f"deps:\n- {{path: a/dvc.yaml}}\nouts:\n- {{md5: {A}, path: x}}\n",
    "two clouds": f"outs:\n- {{md5: {A}, path: x, cloud: {{a: {{}}, b: {{}}}}}}\n",
    "python tag": "!!python/object/apply:os.getcwd []\n",
    "stage of DVC 0": f"cmd: x\nouts:\n- {{md5: {A}, path: x}}\n",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_that_dvc_refuses_is_broken_and_hides_no_other(make: Write, kind: str) -> None:
    root = make({"x.dvc": BROKEN[kind], "ok.dvc": f"outs:\n- {{md5: {C}, path: ok}}\n"})
    found = same_as_dvc(root)
    assert outs_of(found) == {("ok", C)}
    (reason,) = found.broken.values()
    assert reason and "\n" not in reason


CRASHES = {
    "hash is a number": "outs:\n- {md5: 12345678901234567890123456789012, path: x}\n",
    "no path": f"outs:\n- {{md5: {A}}}\n",
    "empty file": "",
    "deep": "[" * 100_000,
    "deep block": "- " * 3000 + "a",
    "recursive": "outs: &a [*a]\n",
}


@pytest.mark.parametrize("kind", CRASHES)
def test_a_file_that_crashes_dvc_or_says_nothing_is_broken(make: Write, kind: str) -> None:
    found = load_worktree(make({"x.dvc": CRASHES[kind]}))
    assert not found.outputs
    assert set(found.broken) == {"x.dvc"}


def test_what_is_no_regular_file_is_broken_and_never_waited_for(make: Write) -> None:
    root = make({"d.dvc/inner": "1"})
    os.mkfifo(root / "f.dvc")
    (root / "l.dvc").symlink_to("nowhere")
    names = ["d.dvc", "f.dvc", "gone.dvc", "l.dvc"]
    found = load(WorktreeFiles(str(root)), str(root), "", names, {})
    assert found.broken == dict.fromkeys(["d.dvc", "f.dvc", "l.dvc"], "not a regular file")


def test_a_linked_metadata_file_is_read_through_the_link(make: Write) -> None:
    root = make({"real.txt": f"outs:\n- {{md5: {A}, path: x}}\n"})
    (root / "x.dvc").symlink_to("real.txt")
    assert only(same_as_dvc(root)).hash == A


@pytest.mark.parametrize("text", ["", "stages: {s: {cmd: x}}", "schema: '1.0'\n", "<<<<<<< H\n"])
def test_a_broken_lock_is_named_and_its_outputs_have_no_hash(make: Write, text: str) -> None:
    root = make({"dvc.yaml": STAGE + "    outs: [a]\n", "dvc.lock": text})
    found = load_worktree(root)
    assert outs_of(found) == {("a", None)}
    assert set(found.broken) == {"dvc.lock"}


BROKEN_PIPELINES = {
    "no cmd": "stages:\n  s: {outs: [a]}\n",
    "no stages": "stages:\n",
    "foreach without do": "stages:\n  s: {foreach: [a]}\n",
    "undefined variable": STAGE + '    outs: ["${nowhere}"]\n',
    "missing vars file": "vars: [gone.yaml]\n" + STAGE + '    outs: ["${a}"]\n',
    "outs is text": STAGE + "    outs: a\n",
    "flags are none": STAGE + "    outs:\n    - a:\n",
    "artifact without path": "artifacts:\n  a: {type: model}\n",
}


@pytest.mark.parametrize("kind", BROKEN_PIPELINES)
def test_a_pipeline_that_dvc_refuses_is_broken(make: Write, kind: str) -> None:
    found = same_as_dvc(make({"dvc.yaml": BROKEN_PIPELINES[kind]}))
    assert set(found.broken) == {"dvc.yaml"}


def test_an_undefined_variable_in_a_command_hides_no_output(make: Write) -> None:
    root = make({"dvc.yaml": "stages:\n  s:\n    cmd: x ${nowhere}\n    outs: [a]\n"})
    assert only(load_worktree(root)).path == "a"
