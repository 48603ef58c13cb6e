"""A hook of somebody else keeps running with what Git gives it, and comes back byte for byte."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Dvc, Git

from mlflow_dvc_plugin.sync import install
from mlflow_dvc_plugin.sync.events import EVENTS
from mlflow_dvc_plugin.sync.hooksfolder import find_hooks_folder

from .test_install import commit, files, put_in, states, taken_out_of

SH = """{shebang}
set -eu
[ "$(basename "$0")" = "${{0##*/}}" ] || exit 9
[ -z "${{mlflow_dvc_chained-}}" ] || exit 8
printf '%s\\n' "$#:$*" >> "{noted}"
cat >> "{noted}"
exit "${{FOREIGN-0}}"
"""
PYTHON = """#!{python}
import os, sys
with open({noted!r}, "ab") as file:
    file.write(f"{{len(sys.argv) - 1}}:{{' '.join(sys.argv[1:])}}\\n".encode())
    file.write(sys.stdin.buffer.read())
sys.exit(int(os.environ.get("FOREIGN", "0")))
"""
INPUT = b"refs/heads/a b 1 refs/heads/\xff 2\n\nlast, without its line break"
SHELLS = [name for name in ("dash", "bash", "ksh") if shutil.which(name)]
KINDS = [*(f"#!{shutil.which(name)}" for name in SHELLS), "#!/usr/bin/env sh", "#!/bin/sh -e", "py"]


@pytest.fixture
def noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Bake in a program that notes its arguments and input where the foreign hook does too."""
    file, program = tmp_path / "noted", tmp_path / "python that notes"
    program.write_text(f"""#!/bin/sh
[ "$2" = "import mlflow_dvc_plugin" ] && exit 0
echo ours "$3:$4" >> "{file}"
cat >> "{file}"
exit ${{OURS-0}}
""")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    return file


@pytest.fixture
def plain(tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "plain"
    git("init", "--quiet", str(folder))
    monkeypatch.chdir(folder)
    return folder


def foreign(folder: Path, event: str, kind: str, noted: Path) -> Path:
    hook = folder / ".git/hooks" / event
    python = os.path.realpath(shutil.which("python3") or "")
    text = PYTHON.format(python=python, noted=str(noted)) if kind == "py" else ""
    hook.write_text(text or SH.format(shebang=kind, noted=noted))
    hook.chmod(0o750)
    return hook


def run(hook: str, *args: str, shell: tuple[str, ...] = (), **env: str) -> int:
    command = [*shell, f".git/hooks/{hook}", *args]
    return subprocess.run(command, input=INPUT, env={**os.environ, **env}, check=False).returncode


@pytest.mark.parametrize("kind", KINDS)
def test_both_get_the_arguments_and_exactly_the_input(plain: Path, kind: str, noted: Path) -> None:
    foreign(plain, "pre-push", kind, noted)
    put_in(plain)
    assert run("pre-push", "origin", "a url") == 0
    assert noted.read_bytes() == b"2:origin a url\n" + INPUT + b"ours pre-push:origin\n" + INPUT


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_before_the_fact_stops(plain: Path, kind: str, noted: Path) -> None:
    foreign(plain, "pre-push", kind, noted)
    put_in(plain)
    assert run("pre-push", "origin", FOREIGN="7") == 7
    assert b"ours" not in noted.read_bytes()
    assert run("pre-push", "origin", OURS="3") != 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", ["0", "5"])
def test_after_the_fact_ours_runs_too_and_the_others_status_counts(
    plain: Path, kind: str, noted: Path, status: str
) -> None:
    hook = foreign(plain, "post-rewrite", kind, noted)
    put_in(plain)
    done = subprocess.run(
        ["sh", "-x", f".git/hooks/{hook.name}", "rebase"], input=INPUT, capture_output=True,
        env={**os.environ, "FOREIGN": status}, check=False,
    )  # fmt: skip
    assert done.returncode == int(status)
    assert noted.read_bytes().startswith(b"1:rebase\n" + INPUT)
    assert b"python" in done.stderr  # ours has begun; what it does is not this test's matter


@pytest.mark.skipif(not shutil.which("busybox"), reason="no busybox here")
@pytest.mark.parametrize("kind", ["#!/usr/bin/env -S busybox sh", "py"])
def test_the_recipe_works_in_busybox(plain: Path, kind: str, noted: Path) -> None:
    foreign(plain, "pre-push", kind, noted)
    put_in(plain)
    assert run("pre-push", "origin", shell=("busybox", "sh")) == 0
    assert noted.read_bytes() == b"1:origin\n" + INPUT + b"ours pre-push:origin\n" + INPUT


@pytest.mark.parametrize("kind", KINDS)
def test_uninstall_puts_bytes_and_mode_back(plain: Path, kind: str, noted: Path) -> None:
    for event in EVENTS:
        foreign(plain, event, kind, noted)
    before = files(plain / ".git/hooks")
    put_in(plain)
    assert states(plain) == {"current"}
    assert {step.text for step in put_in(plain)} == {"unchanged"}
    taken_out_of(plain)
    assert files(plain / ".git/hooks") == before


def test_symlinks_run_first_and_come_back_and_their_targets_stay(
    plain: Path, noted: Path, git: Git
) -> None:
    script = foreign(plain, "script", "#!/bin/sh", noted).rename(plain / "script")
    hooks = plain / ".git/hooks"
    (hooks / "pre-commit").symlink_to("../../script")
    (hooks / "pre-push").symlink_to("nowhere")
    before, text = files(hooks), script.read_bytes()
    put_in(plain)
    commit(git, plain)
    assert b"\n0:\nours pre-commit:\n" in b"\n" + noted.read_bytes()
    noted.unlink()
    assert run("pre-push", "origin") == 0
    taken_out_of(plain)
    assert (files(hooks), script.read_bytes()) == (before, text)


def test_a_hook_without_the_permission_stays_off_and_comes_back(plain: Path, noted: Path) -> None:
    hook = foreign(plain, "pre-push", "#!/bin/sh", noted)
    hook.chmod(0o640)
    before = files(plain / ".git/hooks")
    put_in(plain)
    assert run("pre-push", "origin") == 0
    assert noted.read_bytes() == b"ours pre-push:origin\n" + INPUT
    taken_out_of(plain)
    assert files(plain / ".git/hooks") == before


def test_dvcs_own_hooks_are_replaced_with_a_word_and_come_back(repo: Path, dvc: Dvc) -> None:
    dvc("install", cwd=repo)
    before = files(repo / ".git/hooks")
    said = {step.event: step.text for step in put_in(repo)}
    assert [event for event, text in said.items() if "DVC's own" in text] == [
        "post-checkout", "pre-commit", "pre-push",
    ]  # fmt: skip
    assert {step.text for step in put_in(repo)} == {"unchanged"}
    for event in ("post-checkout", "pre-commit", "pre-push"):
        assert b"before-mlflow-dvc" not in (repo / ".git/hooks" / event).read_bytes()
    taken_out_of(repo)
    assert files(repo / ".git/hooks") == before


@pytest.mark.parametrize("kind", ["#!/bin/sh", "py"])
def test_a_hook_that_was_replaced_since_is_left_alone(plain: Path, kind: str, noted: Path) -> None:
    hook = foreign(plain, "pre-push", kind, noted)
    put_in(plain)
    hook.write_text("#!/bin/sh\necho new\n")
    steps = {step.event: step for step in taken_out_of(plain)}
    assert hook.read_text() == "#!/bin/sh\necho new\n"
    if kind == "py":  # the old one stands aside, and is named
        assert steps["pre-push"].problem
        assert "pre-push.before-mlflow-dvc" in steps["pre-push"].text
    else:
        assert "pre-push" not in steps


def test_ours_keeps_its_place_when_the_framework_moves_it(plain: Path, noted: Path) -> None:
    put_in(plain)
    hooks = plain / ".git/hooks"
    (hooks / "pre-push").rename(hooks / "pre-push.legacy")
    foreign(plain, "pre-push", "#!/bin/sh", noted)
    assert states(plain) == {"current"}
    assert {step.text for step in put_in(plain)} == {"unchanged"}
    taken_out_of(plain)
    assert not (hooks / "pre-push.legacy").exists()
    assert (hooks / "pre-push").exists()


def test_what_stands_in_the_way_of_moving_is_never_overwritten(plain: Path, noted: Path) -> None:
    hook = foreign(plain, "pre-push", "py", noted)
    other = hook.with_name("pre-push.before-mlflow-dvc")
    other.write_text("mine")
    before = files(hook.parent)
    steps = install.install(find_hooks_folder(str(plain)), ["pre-push"])
    assert [step.problem for step in steps] == [True]
    assert files(hook.parent) == before


def test_an_install_that_was_cut_off_is_finished_or_undone(plain: Path, noted: Path) -> None:
    """Killed between moving the hook aside and writing ours."""
    hook = foreign(plain, "pre-push", "py", noted)
    before = files(hook.parent)
    kept = hook.rename(hook.with_name("pre-push.before-mlflow-dvc"))
    put_in(plain)
    assert run("pre-push", "origin") == 0
    assert noted.read_bytes() == b"1:origin\n" + INPUT + b"ours pre-push:origin\n" + INPUT
    hook.unlink()
    assert kept.exists()
    taken_out_of(plain)
    assert files(hook.parent) == before


def test_git_commands_inside_a_foreign_hook_run_their_own_hooks(
    plain: Path, noted: Path, git: Git, tmp_path: Path
) -> None:
    """What tells our two parts apart must not reach the hooks of another repository."""
    other = tmp_path / "other"
    git("init", "--quiet", str(other))
    for folder, then in ((other, ""), (plain, f"unset GIT_INDEX_FILE; cd '{other}' && git commit "
                                              "--quiet --allow-empty -m inner")):  # fmt: skip
        hook = folder / ".git/hooks/pre-commit"
        hook.write_text(f"#!/bin/sh\necho {folder.name} >> '{noted}'\n{then}\n")
        hook.chmod(0o755)
        install.install(find_hooks_folder(str(folder)), ["pre-commit"])
    commit(git, plain)
    lines = ["plain", "other", "ours pre-commit:", "ours pre-commit:"]
    assert noted.read_text().splitlines() == lines
