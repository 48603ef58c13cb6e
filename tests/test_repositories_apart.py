"""Repositories that lack something, or belong to somebody else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Dvc, Git, PythonIn
from providing import code_of, same_state, tags, warnings_in

ANOTHER = 65534  # nobody


# ---- something is not there ----


def test_dvc_without_git_has_data_tags_only(
    dvc: Dvc, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dvc("init", "--quiet", "--no-scm")
    Path("sub").mkdir()
    Path("sub/x.csv").write_text("x\n")
    dvc("add", "--quiet", "sub/x.csv")
    found = tags()
    assert not [key for key in found if key.startswith(("git.", "mlflow."))]
    assert found["dvc.status"] == "clean" and json.loads(found["dvc.manifest"]).keys() == {
        "sub/x.csv"
    }
    Path("sub/x.csv").write_text("y\n")
    assert tags()["dvc.status"] == "modified"
    os.chdir("sub")
    assert tags()["dvc.changed"] == '["sub/x.csv"]'
    assert warnings_in(caplog) == []


def test_git_without_dvc_has_git_tags_only(git: Git, caplog: pytest.LogCaptureFixture) -> None:
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "--message", "first")
    found = tags()
    assert code_of(found) == (git("rev-parse", "HEAD"), "main", "false")
    assert {key for key in found if key.startswith("dvc.")} == {"dvc.schema", "dvc.source"}
    assert warnings_in(caplog) == []


def test_neither_git_nor_dvc_has_no_tags_and_says_nothing(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    assert tags() == {}
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("linked", [False, True])
def test_without_a_git_program_the_commit_is_read_from_files(
    repo: Path, git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, *, packed: bool, linked: bool,
) -> None:  # fmt: skip
    git("checkout", "-q", "-b", "feature/größe")
    if linked:
        git("worktree", "add", "-q", "-b", "other/one", "../linked")
        monkeypatch.chdir(tmp_path / "linked")
    if packed:
        git("pack-refs", "--all")
    expected = code_of(tags())
    assert expected[1] == ("other/one" if linked else "feature/größe")
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    found = tags()
    assert code_of(found) == (*expected[:2], "unknown")
    if not linked:
        assert found["dvc.status"] == "clean"
    (warning,) = warnings_in(caplog)
    assert "git program was not found" in warning and "install Git" in warning


def test_a_process_that_never_had_a_git_program_has_its_tags_and_one_warning(
    repo: Path, git: Git, tmp_path: Path, python_in: PythonIn
) -> None:
    code = (
        "import os, sys; os.dup2(1, 2)\nimport json\n"
        "from mlflow_dvc_plugin.context import DvcRunContext\np = DvcRunContext()\n"
        "print('BEGIN'); p.tags(); print(json.dumps(p.tags()))\n"
    )
    commit = git("rev-parse", "HEAD")
    out = python_in(repo, code, PATH=str(tmp_path / "empty")).split("BEGIN\n")[1].splitlines()
    found = json.loads(out[-1])
    assert code_of(found) == (commit, "main", "unknown")
    assert found["dvc.status"] == "clean"
    assert len([line for line in out if "mlflow-dvc:" in line]) == 1, out
    assert not [line for line in out if "Traceback" in line], out


# ---- somebody else's ----


@pytest.mark.parametrize("name", ["project", "it's a $HOME"])
@pytest.mark.parametrize("how", ["chown", "GIT_TEST_ASSUME_DIFFERENT_OWNER"])
def test_another_users_repository_says_once_which_command_mends_it(
    repo: Path, git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, *, how: str, name: str,
) -> None:  # fmt: skip
    from mlflow_dvc_plugin.context import DvcRunContext

    commit = git("rev-parse", "HEAD")
    os.rename(repo, tmp_path / name)
    monkeypatch.chdir(tmp_path / name)
    if how == "chown":
        if os.geteuid() != 0:
            pytest.skip("only root can give a repository away")
        subprocess.run(["chown", "-R", str(ANOTHER), "."], check=True)
    else:
        monkeypatch.setenv(how, "1")
    provider = DvcRunContext()
    for _ in range(2):
        found = provider.tags()
        assert code_of(found) == (commit, "main", "unknown")
        assert found["dvc.status"] == "clean"
        time.sleep(1.05)  # for that long one capture answers
    (warning,) = warnings_in(caplog)
    assert "another user" in warning
    command = warning.partition("run: ")[2]
    assert command.startswith("git config --global --add safe.directory ")
    subprocess.run(["sh", "-c", command], check=True)
    assert code_of(tags()) == (commit, "main", "false")


@contextmanager
def nobody() -> Iterator[None]:
    """Be a user who may read everything and write nothing; the user root stays in reserve."""
    os.seteuid(ANOTHER)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("cache", ["writable", "not writable"])
def test_a_read_only_repository_is_captured_and_remembered_in_the_users_cache(
    repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch, cache: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """Root may write everywhere, so this process becomes somebody else for a moment."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    git("config", "--global", "safe.directory", "*")
    expected = tags()
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
        folder = Path(name)
        folder.chmod(0o755)
        shutil.rmtree(repo / ".dvc/tmp")
        shutil.copytree(repo, folder / "project", symlinks=True)
        shutil.copy(os.environ["GIT_CONFIG_GLOBAL"], folder / "gitconfig")
        (folder / "cache").mkdir(mode=0o700)
        if cache == "writable":
            os.chown(folder / "cache", ANOTHER, ANOTHER)
        monkeypatch.setenv("HOME", name)
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(folder / "gitconfig"))
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        monkeypatch.chdir(folder / "project")
        with nobody():
            assert not os.access(folder / "project", os.W_OK, effective_ids=True)
            assert same_state(tags()) == expected
            assert same_state(tags()) == expected
        assert not (folder / "project/.dvc/tmp").exists()
        assert bool(list((folder / "cache").rglob("state"))) == (cache == "writable")
        monkeypatch.chdir("/")
    assert warnings_in(caplog) == []
