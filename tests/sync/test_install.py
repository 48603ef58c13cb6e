"""Where the hooks go, and what is refused; Git itself is the judge of where it looks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Git

from mlflow_dvc_plugin.cli import main
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.sync import hookstatus, install, scripts
from mlflow_dvc_plugin.sync.events import EVENTS
from mlflow_dvc_plugin.sync.hooksfolder import find_hooks_folder


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Bake in a program that notes how it was started; return the file it writes."""
    noted = tmp_path / "ran"
    program = tmp_path / "it's a python"
    program.write_text(f'#!/bin/sh\nshift 2\necho "$@" >> "{noted}"\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    return noted


@pytest.fixture
def plain(tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a Git repository with one commit, the working directory."""
    folder = tmp_path / "plain"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub/file").write_text("1")
    git("init", "--quiet", cwd=folder)
    git("add", "--all", cwd=folder)
    git("commit", "--quiet", "--message", "first", cwd=folder)
    monkeypatch.chdir(folder)
    return folder


def put_in(folder: Path, force: bool = False) -> list[install.Step]:
    return install.install(find_hooks_folder(str(folder)), force=force)


def taken_out_of(folder: Path) -> list[install.Step]:
    return install.uninstall(find_hooks_folder(str(folder)))


def states(folder: Path) -> set[str]:
    return {one.state for one in hookstatus.hook_status(find_hooks_folder(str(folder)))}


def commit(git: Git, folder: Path) -> None:
    git("commit", "--quiet", "--allow-empty", "--message", "next", cwd=folder)


def files(folder: Path) -> dict[str, tuple[int, bytes | str]]:
    """Return mode and content of everything in a folder; a symlink's content is its target."""
    found: dict[str, tuple[int, bytes | str]] = {}
    for path in sorted(folder.rglob("*")):
        content = os.readlink(path) if path.is_symlink() else b""
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
        found[str(path.relative_to(folder))] = (path.lstat().st_mode, content)
    return found


def test_git_runs_the_hooks_after_install_and_none_after_uninstall(
    plain: Path, git: Git, ran: Path
) -> None:
    before = files(plain / ".git/hooks")
    assert {step.text for step in put_in(plain)} == {"installed"}
    assert states(plain) == {"current"}
    commit(git, plain)
    assert ran.read_text().splitlines()[0] == "pre-commit"
    assert {step.text for step in taken_out_of(plain)} == {"removed"}
    assert files(plain / ".git/hooks") == before
    assert states(plain) == {"absent"}
    assert taken_out_of(plain) == []


def test_a_second_install_changes_nothing(plain: Path) -> None:
    put_in(plain)
    before = files(plain / ".git")
    assert {step.text for step in put_in(plain)} == {"unchanged"}
    assert files(plain / ".git") == before


def test_a_dry_run_of_install_and_uninstall_changes_nothing(plain: Path) -> None:
    (plain / ".git/hooks/pre-push").write_text("#!/bin/sh\nexit 0\n")
    (plain / ".git/hooks/pre-push").chmod(0o755)
    before = files(plain / ".git")
    assert main(["install", "--dry-run"]) == 0
    assert main(["install", "--manual"]) == 0
    assert files(plain / ".git") == before
    put_in(plain)
    before = files(plain / ".git")
    assert main(["uninstall", "--dry-run"]) == 0
    assert files(plain / ".git") == before


def test_it_works_in_a_linked_worktree(plain: Path, git: Git, ran: Path) -> None:
    git("worktree", "add", "--quiet", "../linked", cwd=plain)
    linked = plain.parent / "linked"
    put_in(linked)
    assert states(linked) == states(plain) == {"current"}
    commit(git, linked)
    assert "pre-commit" in ran.read_text().split()


def test_it_works_in_a_submodule(plain: Path, git: Git, ran: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    git("init", "--quiet", str(outer))
    git("submodule", "--quiet", "add", str(plain), "inner", cwd=outer)
    put_in(outer / "inner")
    assert (outer / ".git/modules/inner/hooks/pre-commit").exists()
    assert states(outer) == {"absent"}
    commit(git, outer / "inner")
    assert "pre-commit" in ran.read_text().split()


@pytest.mark.parametrize("value", ["{}/elsewhere/hooks", ".git/my hooks", "~/hooks", "sub/hooks"])
@pytest.mark.parametrize("start", ["", "sub"])
def test_it_works_with_a_hooks_path_from_any_folder(
    plain: Path, git: Git, ran: Path, *, value: str, start: str
) -> None:
    git("config", "core.hooksPath", value.format(plain.parent), cwd=plain)
    (plain / ".git/info/exclude").write_text("hooks/\n")
    put_in(plain / start)
    assert states(plain / start) == {"current"}
    commit(git, plain)
    assert "pre-commit" in ran.read_text().split()
    taken_out_of(plain / start)
    assert states(plain) == {"absent"}


def test_a_global_hooks_folder_is_refused_and_never_gets_a_path(plain: Path, git: Git) -> None:
    git("config", "--global", "core.hooksPath", "~/hooks")
    with pytest.raises(MlflowDvcError, match="global") as caught:
        put_in(plain)
    assert "--force" in caught.value.hint
    put_in(plain, force=True)
    assert states(plain) == {"current"}
    for _, text in files(Path.home() / "hooks").values():
        assert os.fsencode(sys.executable) not in os.fsencode(text)


def test_a_git_that_cannot_tell_the_scope_makes_us_careful(
    plain: Path, git: Git, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = tmp_path / "old/git"
    old.parent.mkdir()
    real = shutil.which("git")
    old.write_text(f'#!/bin/sh\n[ "$2" != --show-scope ] || exit 129\nexec "{real}" "$@"\n')
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{old.parent}{os.pathsep}{os.environ['PATH']}")
    put_in(plain)
    git("config", "core.hooksPath", "~/hooks", cwd=plain)
    with pytest.raises(MlflowDvcError, match="global"):
        put_in(plain)


def test_a_tracked_hooks_folder_is_refused_and_never_gets_a_path(plain: Path, git: Git) -> None:
    git("config", "core.hooksPath", "sub", cwd=plain)
    with pytest.raises(MlflowDvcError, match="Git tracks files in it"):
        put_in(plain)
    put_in(plain, force=True)
    assert scripts.python_in((plain / "sub/pre-commit").read_bytes()) == ""


def test_a_folder_that_git_would_add_gets_no_path(plain: Path, git: Git) -> None:
    git("config", "core.hooksPath", "new", cwd=plain)
    put_in(plain)
    assert scripts.python_in((plain / "new/pre-commit").read_bytes()) == ""


def test_hooks_that_are_switched_off_are_named(plain: Path, git: Git) -> None:
    git("config", "core.hooksPath", os.devnull, cwd=plain)
    with pytest.raises(MlflowDvcError, match="runs no hooks") as caught:
        put_in(plain)
    assert caught.value.hint == "git config --unset core.hooksPath"


def test_without_a_repository_the_hint_is_git_init() -> None:
    with pytest.raises(MlflowDvcError, match="no Git repository"):
        find_hooks_folder(os.getcwd())


def test_an_older_version_is_recognised_and_replaced(plain: Path) -> None:
    put_in(plain)
    hook = plain / ".git/hooks/pre-commit"
    old = scripts._signed(b"# mlflow-dvc hook pre-commit 0", b"python=''\nold\n")
    hook.write_bytes(b"#!/bin/sh\n" + old)
    assert states(plain) == {"current", "outdated"}
    assert main(["hooks", "status"]) == 1
    put_in(plain)
    assert main(["hooks", "status"]) == 0


def test_a_hook_of_ours_that_was_edited_is_left_alone(plain: Path) -> None:
    put_in(plain)
    hook = plain / ".git/hooks/pre-commit"
    hook.write_bytes(text := hook.read_bytes() + b"echo mine\n")
    assert [step.event for step in put_in(plain) if step.problem] == ["pre-commit"]
    assert [step.event for step in taken_out_of(plain) if step.problem] == ["pre-commit"]
    assert hook.read_bytes() == text


def test_a_vanished_interpreter_is_found_by_the_status(plain: Path, ran: Path) -> None:
    put_in(plain)
    Path(sys.executable).unlink()
    assert states(plain) == {"broken"}


def test_one_event_alone_can_be_installed(plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", "--event", "pre-push"]) == 0
    assert [name for name in EVENTS if (plain / ".git/hooks" / name).exists()] == ["pre-push"]


def test_checks_that_the_framework_runs_are_left_to_it(
    plain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (plain / ".pre-commit-config.yaml").write_text("- id: mlflow-dvc-pre-commit\n")
    assert main(["install"]) == 0
    assert "syncing stays in native hooks" in capsys.readouterr().out
    assert not (plain / ".git/hooks/pre-commit").exists()
    assert (plain / ".git/hooks/pre-push").exists()
    assert main(["hooks", "status"]) == 1
    assert "run pre-commit install --hook-type pre-commit" in capsys.readouterr().out


def test_a_file_of_the_project_named_like_a_library_is_not_imported(plain: Path) -> None:
    for name in ("yaml", "click", "dvc"):
        (plain / f"{name}.py").write_text("open('imported', 'w').close()\n")
    command = [sys.executable, "-m", "mlflow_dvc_plugin.hook", "pre-commit"]
    subprocess.run(command, capture_output=True, check=False)
    assert not (plain / "imported").exists()
