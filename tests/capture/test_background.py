"""A call in a thread of its own, also where threads die as they start.

Under a debugger or coverage each thread installs a trace function. Before 3.12 CPython refuses that
while another thread runs an audit hook that was written in Python; here one refuses it itself.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Dvc, Git, PythonIn
from lineage.making import keep

from mlflow_dvc_plugin.capture.background import Background

DYING = """
import sys, threading

def refuse(event, _):
    if event == "sys.settrace":
        raise RuntimeError("no trace function now")

sys.addaudithook(refuse)
threading.settrace(lambda *_: None)
died = []
sys.unraisablehook = died.append
"""


def test_the_result_is_what_the_call_returned() -> None:
    with Background(lambda: 1) as asked:
        assert asked.result() == 1


def test_its_error_is_raised_where_the_result_is_taken() -> None:
    with Background(lambda: 1 // 0) as asked:
        assert asked.done()
    with pytest.raises(ZeroDivisionError):
        asked.result()


def test_what_a_dead_thread_has_not_begun_is_done_by_who_wants_the_result(
    python_in: PythonIn, tmp_path: Path
) -> None:
    code = DYING + (
        "from mlflow_dvc_plugin.capture.background import Background\n"
        "calls = []\n"
        "asked = Background(lambda: calls.append(1) or len(calls))\n"
        "print(asked.done(), asked.result(), asked.result(), len(died))\n"
    )
    assert python_in(tmp_path, code).split() == ["True", "1", "1", "1"]


def test_a_run_is_tagged_and_brought_back_where_threads_die(
    repo: Path, tracking_sqlite: str, git: Git, dvc: Dvc, python_in: PythonIn
) -> None:
    dvc("config", "--quiet", "cache.type", "hardlink")
    keep(repo, "data/parts", {"one.csv": b"1\n", "sub/two.csv": b"2\n"}, git, dvc)
    code = DYING + (
        "import mlflow\n"
        "with mlflow.start_run() as run: pass\n"
        "tags = mlflow.get_run(run.info.run_id).data.tags\n"
        "print(tags['dvc.status'], tags['git.dirty'], run.info.run_id, bool(died))\n"
    )
    status, dirty, run_id, died = python_in(repo, code).split()
    assert (status, dirty, died) == ("clean", "false", "True")
    code = DYING + (
        "from mlflow_dvc_plugin.cli import main\n"
        f"sys.argv = ['mlflow-dvc', 'restore', '{run_id}', '--to', '../back']\n"
        "main()\n"
    )
    assert "data/parts" in python_in(repo, code)
    assert (repo.parent / "back/data/parts/sub/two.csv").read_bytes() == b"2\n"
