"""What is read again, and what is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from mlflow_dvc_plugin.capture.files import WorktreeFiles
from mlflow_dvc_plugin.capture.metadata import load

from .conftest import OLD, STAGE, A, B, Write, lock, only, write

CHECKOUT = Path(__file__).resolve().parents[2]


class Counting(WorktreeFiles):
    """Files that note what is read; a test need not wait until what it has written is settled."""

    def __init__(self, toplevel: str) -> None:
        super().__init__(toplevel)
        self.reads: list[str] = []

    def read(self, path: str) -> bytes | None:
        self.reads.append(path)
        return super().read(path)

    def settled(self, path: str) -> bool:
        return True


def test_an_unchanged_file_is_not_read_again_not_even_in_another_process(make: Write) -> None:
    memo: dict[str, Any] = {}
    text = 'stages:\n  s: {foreach: [1, 2], do: {cmd: x, outs: ["${item}.${v}"]}}\n'
    root = make({
        "x.dvc": f"outs:\n- {{md5: {A}, path: x}}\n", "dvc.yaml": text, "params.yaml": "v: 1\n",
        "dvc.lock": lock("1.1", name="s@1"), "bad.dvc": "[",
    })  # fmt: skip
    top, names = str(root), ["bad.dvc", "dvc.yaml", "x.dvc"]
    first = load(files := Counting(top), top, "", names, memo)
    assert {"x.dvc", "dvc.yaml", "dvc.lock", "params.yaml"} <= set(files.reads)
    memo = json.loads(json.dumps(memo))
    again = load(files := Counting(top), top, "", names, memo)
    assert files.reads == []
    assert again == first
    assert "dvc" not in _modules_after_loading(top, names, memo)


def test_a_plain_repository_is_read_without_importing_dvc(make: Write) -> None:
    root = make({
        "x.dvc": f"outs:\n- {{md5: {A}, path: x}}\n",
        "dvc.yaml": "vars: [a: 1]\n" + STAGE.replace("cmd: x", "cmd: x ${lr}") + "    outs: [a]\n",
    })  # fmt: skip
    assert "dvc" not in _modules_after_loading(str(root), ["dvc.yaml", "x.dvc"], {})


@pytest.mark.parametrize("name", ["params.yaml", "more.yaml", "dvc.lock", "dvc.yaml", "x.dvc"])
def test_a_change_of_any_file_behind_a_result_is_noticed(make: Write, name: str) -> None:
    memo: dict[str, Any] = {}
    root = make({
        "x.dvc": f"outs:\n- {{md5: {A}, path: x}}\n",
        "dvc.yaml": 'vars: [more.yaml]\nstages:\n  s: {cmd: x, outs: ["${v}${w}"]}\n',
        "params.yaml": "v: a\n", "more.yaml": "w: b\n", "dvc.lock": lock("ab"),
    })  # fmt: skip
    top, names = str(root), ["dvc.yaml", "x.dvc"]
    first = load(Counting(top), top, "", names, memo)
    before = (root / name).read_text()
    after = before.replace("v: a", "v: c").replace("w: b", "w: c").replace(A, B)
    write(root, {name: after if after != before else before.replace("${v}", "new")})
    assert load(Counting(top), top, "", names, memo) != first


def test_a_params_file_that_appears_is_noticed(make: Write) -> None:
    memo: dict[str, Any] = {}
    root = make({"dvc.yaml": STAGE + '    outs: ["${v}"]\n'})
    top = str(root)
    assert load(Counting(top), top, "", ["dvc.yaml"], memo).broken
    write(root, {"params.yaml": "v: here\n"})
    assert only(load(Counting(top), top, "", ["dvc.yaml"], memo)).path == "here"


def test_a_file_written_a_moment_ago_is_not_remembered(make: Write) -> None:
    memo: dict[str, Any] = {}
    root = make({"x.dvc": f"outs:\n- {{md5: {A}, path: x}}\n"})  # its ctime is now
    load(WorktreeFiles(str(root)), str(root), "", ["x.dvc"], memo)
    assert memo["files"] == {}


def test_files_that_are_gone_are_forgotten(make: Write) -> None:
    memo: dict[str, Any] = {}
    root = make({"x.dvc": f"outs:\n- {{md5: {A}, path: x}}\n"})
    _settle()
    load(WorktreeFiles(str(root)), str(root), "", ["x.dvc"], memo)
    assert set(memo["files"]) == {"x.dvc"}
    load(WorktreeFiles(str(root)), str(root), "", [], memo)
    assert memo["files"] == {}


@pytest.mark.parametrize("damage", [[], {"x.dvc": 1}, {"x.dvc": {"on": {}, "result": []}}])
def test_a_damaged_memo_is_forgotten(make: Write, damage: object) -> None:
    memo: dict[str, Any] = {}
    root = make({"x.dvc": f"outs:\n- {{md5: {A}, path: x}}\n"})
    load(WorktreeFiles(str(root)), str(root), "", ["x.dvc"], memo)
    memo["files"] = damage
    assert only(load(WorktreeFiles(str(root)), str(root), "", ["x.dvc"], memo)).hash == A


def test_without_the_dvc_library_a_templated_pipeline_is_broken_with_the_remedy(
    make: Write, tmp_path: Path
) -> None:
    root = make({"dvc.yaml": STAGE + '    outs: ["${v}"]\n', "params.yaml": "v: x\n"})
    write(tmp_path, {"none/dvc/__init__.py": "raise ImportError('no dvc here')"})
    out = _run(str(root), ["dvc.yaml"], {}, f"{tmp_path}/none")
    assert "pip install dvc" in str(out["broken"])
    assert out["memo"] == {}


_SCRIPT = textwrap.dedent("""\
    import json, sys
    from mlflow_dvc_plugin.capture.files import WorktreeFiles
    from mlflow_dvc_plugin.capture.metadata import load
    top, names, memo = json.loads(sys.stdin.read())
    found = load(WorktreeFiles(top), top, "", names, memo)
    print(json.dumps({"modules": sorted(sys.modules), "broken": found.broken,
                      "memo": memo["files"]}))
""")


def _run(top: str, names: list[str], memo: dict[str, object], first: str = "") -> dict[str, object]:
    path = os.pathsep.join(filter(None, [first, str(CHECKOUT)]))
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], input=json.dumps([top, names, memo]), text=True,
        capture_output=True, check=True, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    return dict(json.loads(done.stdout))


def _modules_after_loading(top: str, names: list[str], memo: dict[str, object]) -> list[str]:
    modules = _run(top, names, memo)["modules"]
    assert isinstance(modules, list)
    return modules


def _settle() -> None:
    """Wait until files written just now are no longer racy: their ctime cannot be set back."""
    time.sleep(2.05)


def test_the_template_is_older_than_any_racy_moment() -> None:
    assert time.time() - OLD > 10
