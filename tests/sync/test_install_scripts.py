"""The scripts in every sh there is: whichever Python is left, and what they say when none is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CHECKOUT

from mlflow_dvc_plugin.sync import scripts
from mlflow_dvc_plugin.sync.events import CHECK_EVENTS, EVENTS

SHELLS = [words for words in (["dash"], ["bash", "--posix"], ["busybox", "sh"])
          if shutil.which(words[0])]  # fmt: skip
START = (
    "-c import sys; sys.path[0] or sys.path.pop(0); from mlflow_dvc_plugin.hook import run; run()"
)
PROGRAM = """#!/bin/sh
[ "$2" = "import mlflow_dvc_plugin" ] && exit {missing}
echo "${{0##*/}} $*" >> "{noted}"
exit {status}
"""


@pytest.fixture(params=SHELLS, ids=" ".join)
def shell(request: pytest.FixtureRequest) -> list[str]:
    words: list[str] = request.param
    return [shutil.which(words[0]) or "", *words[1:]]


def program(path: Path, missing: int = 0, status: int = 0) -> str:
    """Write something to start in the place of Python, with or without our package in it."""
    noted = path.parent / "noted"
    path.parent.mkdir(exist_ok=True)
    path.write_text(PROGRAM.format(missing=missing, noted=noted, status=status))
    path.chmod(0o755)
    return str(path)


def started(
    shell: list[str], text: bytes, path: Path, **env: str
) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run a script with a bare PATH, as a graphical client does; return what was noted too."""
    path.mkdir(exist_ok=True)
    (path / "hook").write_bytes(text)
    done = subprocess.run(
        [*shell, str(path / "hook"), "an argument"], env={"PATH": str(path), **env}, text=True,
        stdin=subprocess.DEVNULL, capture_output=True, check=False,
    )  # fmt: skip
    noted = path / "noted"
    return done, os.fsdecode(noted.read_bytes()) if noted.exists() else ""


@pytest.mark.parametrize("name", ["plain", 'it\'s "quoted" $HOME `x` \\', "ünï\udcff"])
def test_the_path_that_is_baked_in_is_safe_whatever_it_holds(
    shell: list[str], tmp_path: Path, name: str
) -> None:
    python = program(tmp_path / "bin" / name)
    text = scripts.script("pre-commit", python)
    assert scripts.python_in(text) == python
    done, _ = started(shell, text, tmp_path / "bin")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "bin/noted").read_bytes().endswith(b"run() pre-commit an argument\n")


@pytest.mark.parametrize("event", CHECK_EVENTS)
def test_a_python_on_the_path_that_has_the_package_is_next(
    shell: list[str], tmp_path: Path, event: str
) -> None:
    program(tmp_path / "bin/python3", missing=1)
    program(tmp_path / "bin/python", status=1)
    done, noted = started(shell, scripts.script(event, "/gone/python"), tmp_path / "bin")
    assert noted == f"python {START} {event} an argument\n"
    assert done.returncode == 1


@pytest.mark.parametrize("event", CHECK_EVENTS)
@pytest.mark.parametrize("python", ["nowhere", "without the package"])
def test_nobody_is_stopped_by_a_missing_program(
    shell: list[str], tmp_path: Path, event: str, python: str
) -> None:
    baked = program(tmp_path / "bin/old", missing=1, status=1) if "package" in python else ""
    done, _ = started(shell, scripts.script(event, baked), tmp_path / "bin")
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.endswith("run: mlflow-dvc install\n")


@pytest.mark.parametrize("event", EVENTS)
def test_the_switch_skips_all_or_those_it_names(
    shell: list[str], tmp_path: Path, event: str
) -> None:
    text = scripts.script(event, program(tmp_path / "bin/python"))
    for value in ("1", event, f"other,{event}", f"{event}, other"):
        done, noted = started(shell, text, tmp_path / "bin", MLFLOW_DVC_SKIP_HOOKS=value)
        assert (done.returncode, done.stderr, noted) == (0, "", "")


def test_other_events_are_not_skipped(shell: list[str], tmp_path: Path) -> None:
    text = scripts.script("pre-push", program(tmp_path / "bin/python"))
    for value in ("", "0", "pre-commit", "pre-push-x"):
        (tmp_path / "bin/noted").unlink(missing_ok=True)
        assert started(shell, text, tmp_path / "bin", MLFLOW_DVC_SKIP_HOOKS=value)[1]


@pytest.mark.parametrize("event", EVENTS)
def test_every_form_of_a_script_is_clean_and_known_again(tmp_path: Path, event: str) -> None:
    foreign = b"#!/bin/bash\necho 'no line break at the end'"
    block = scripts.with_block(event, sys.executable, foreign)
    assert scripts.without_block(block) == foreign
    forms = [scripts.script(event, sys.executable, kept) for kept in (False, True)]
    assert all(map(scripts.is_ours, forms))
    for number, text in enumerate((*forms, block)):
        (tmp_path / f"hook{number}").write_bytes(text)
    checker = os.path.join(os.path.dirname(sys.executable), "shellcheck")
    if os.path.exists(checker):
        done = subprocess.run([checker, *tmp_path.glob("hook*")], capture_output=True, check=False)
        assert done.stdout.decode() == ""


@pytest.mark.parametrize("event", EVENTS)
def test_a_script_in_the_folder_has_the_agreed_head(event: str) -> None:
    lines = (CHECKOUT / "hooks" / event).read_text().splitlines()
    assert lines[0] == "#!/bin/sh"
    assert re.fullmatch(rf"# mlflow-dvc hook {event} \d+", lines[1])
    assert lines.count("python=''") == 1
    assert len(lines) <= 24
