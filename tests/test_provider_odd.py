"""Odd processes and odd repositories: no false word, and no lost answer."""

from __future__ import annotations

import importlib.util
import logging
import mmap
import os
import signal
import subprocess
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import pytest
from conftest import Git, PythonIn
from providing import tags

from mlflow_dvc_plugin.context import DvcRunContext


class _Raising(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


@pytest.mark.parametrize("file", ["_ops.py", "<string>", "", "gone/_x.py", "a\0b", 5])
def test_a_module_that_names_no_file_makes_nothing_dirty(
    repo: Path, monkeypatch: pytest.MonkeyPatch, file: object
) -> None:
    module = types.ModuleType("odd_module")
    module.__file__ = str(repo / file) if isinstance(file, str) and "/" in file else file  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "odd_module", module)
    assert tags()["git.dirty"] == "false"


def test_a_module_that_answers_nothing_costs_nothing(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "raising", _Raising("raising"))
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "nothing", None)
    assert tags()["dvc.status"] == "clean"


def test_a_lazy_module_is_not_loaded_by_looking_at_it(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repo / "lazy.py").write_text("raise SystemExit('loaded')\n")
    spec = importlib.util.spec_from_file_location("lazy", repo / "lazy.py")
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "lazy", module)
    spec.loader.exec_module(module)
    assert tags()["dvc.status"] == "clean"


def test_a_module_from_a_tracked_archive_makes_nothing_dirty(
    repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(repo / "lib.zip", "w") as archive:
        archive.writestr("zipped_module.py", "x = 1\n")
    git("add", "lib.zip")
    git("commit", "-qm", "an archive")
    monkeypatch.syspath_prepend(str(repo / "lib.zip"))
    monkeypatch.setitem(sys.modules, "zipped_module", importlib.import_module("zipped_module"))
    assert tags()["git.dirty"] == "false"


def test_a_linked_module_whose_target_is_not_tracked_is_dirty(
    repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repo / ".gitignore").write_text("/build\n")
    (repo / "build").mkdir()
    (repo / "build/h.py").write_text("x = 1\n")
    (repo / "helper_link.py").symlink_to("build/h.py")
    git("add", "--all")
    git("commit", "-qm", "a link")
    monkeypatch.syspath_prepend(str(repo))
    monkeypatch.setitem(sys.modules, "helper_link", importlib.import_module("helper_link"))
    assert tags()["git.dirty"] == "true"


@pytest.mark.parametrize("flag", ["--skip-worktree", "--assume-unchanged"])
def test_a_change_that_git_was_told_to_overlook_is_dirty(repo: Path, git: Git, flag: str) -> None:
    git("update-index", flag, "train.py")
    assert tags()["git.dirty"] == "false"
    (repo / "train.py").write_text("# changed\n")
    found = tags()
    assert found["git.dirty"] == "true"
    assert "git.tree" not in found


def test_git_that_fails_is_unknown_also_where_exit_codes_are_lost(
    repo: Path, python_in: PythonIn
) -> None:
    (repo / ".git/index").write_bytes(b"garbage")
    code = (
        "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "from mlflow_dvc_plugin.context import DvcRunContext\n"
        "found = DvcRunContext().tags()\n"
        "print(found['git.dirty'], len(found['mlflow.source.git.commit']))"
    )
    assert python_in(repo, code).split() == ["unknown", "40"]
    assert signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL


def test_data_written_through_memory_is_never_answered_from_stat(repo: Path) -> None:
    path = repo / "data/train.csv"
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        for byte in b"abc":
            memory[0] = byte
            found = tags()
            assert found["dvc.status"] == "modified"
            assert found["dvc.data.train.csv"] == _md5(path)


def _md5(path: Path) -> str:
    return subprocess.check_output(["md5sum", str(path)], text=True).split()[0]


def test_two_metadata_files_of_one_path_are_never_clean_when_one_differs(repo: Path) -> None:
    for name in ("aa", "zz"):
        other = repo / f"data/{name}.dvc"
        other.write_text(f"outs:\n- {{md5: {'f' * 32}, hash: md5, path: train.csv}}\n")
        assert tags()["dvc.status"] == "modified"
        other.unlink()


@pytest.mark.parametrize(
    "text", ["x: !!timestamp foo", "x: !!bool foo", "x: !!float ''", "a: !!int []", "? {a: 1}\n: 2"]
)
def test_a_value_that_yaml_cannot_make_breaks_its_own_file_only(repo: Path, text: str) -> None:
    (repo / "odd.dvc").write_text(text)
    found = tags()
    assert found["dvc.changed"] == '["odd.dvc"]'
    assert found["dvc.data.train.csv"]
    assert found["git.dirty"] == "false"


def test_a_log_that_raises_costs_no_tag_and_no_run(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Raising(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("closed")

    handler = Raising()
    logger = logging.getLogger("mlflow_dvc_plugin")
    logger.addHandler(handler)
    try:
        (repo / "odd.dvc").write_text("[")
        assert tags()["dvc.status"] == "unknown"
    finally:
        logger.removeHandler(handler)


def test_another_working_directory_is_another_answer_within_the_second(
    repo: Path, git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("clone", "-q", str(repo), str(tmp_path / "other"))
    provider = DvcRunContext()
    first = provider.tags()
    monkeypatch.chdir(tmp_path / "other")
    second = provider.tags()
    assert first["dvc.status"] == "clean"
    assert "dvc.missing" in second


def test_a_stage_is_told_by_where_dvc_was_started(repo: Path, python_in: PythonIn) -> None:
    """The command changed its folder to one that has a stage of the same name."""
    (repo / "src").mkdir()
    seen = "python ../seen.py" if os.sep == "/" else ""
    (repo / "seen.py").write_text(
        "import json\nfrom mlflow_dvc_plugin.context import DvcRunContext\n"
        "print('SEEN', json.dumps(DvcRunContext().tags().get('dvc.manifest')))\n"
    )
    (repo / "dvc.yaml").write_text(
        f"stages: {{train: {{cmd: cd src && {seen}, deps: [data/images]}}}}\n"
    )
    (repo / "src/dvc.yaml").write_text("stages: {train: {cmd: x, deps: [../data/train.csv]}}\n")
    env = {**os.environ, "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]}
    command = [sys.executable, "-m", "dvc", "repro", "dvc.yaml"]
    done = subprocess.run(command, cwd=repo, env=env, capture_output=True, text=True, check=False)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("SEEN")]
    assert "data/images" in line
    assert "train.csv" not in line


@pytest.mark.parametrize("delay", ["0.003", "0.02"])
def test_a_fork_while_the_first_capture_begins_hangs_nobody(
    repo: Path, python_in: PythonIn, delay: str
) -> None:
    code = """
import mlflow, os, sys, threading, time
from mlflow_dvc_plugin.context import DvcRunContext
provider = DvcRunContext()
threading.Thread(target=provider.tags, daemon=True).start()
time.sleep(float(sys.argv[1]))
child = os.fork()
if child == 0:
    found = provider.tags()
    os._exit(0 if found["dvc.status"] == "clean" else 3)
end = time.monotonic() + 20
while time.monotonic() < end:
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        print(os.waitstatus_to_exitcode(status))
        break
    time.sleep(0.02)
else:
    os.kill(child, 9)
    print("hangs")
"""
    assert python_in(repo, code, delay).strip() == "0"
