"""However the process was started, its run has the commit of its code and says if that is all.

Each test runs real processes, and asks in them what MLflow would put on a run: once with the
plug-in switched off (``alone``), once with it (``found``).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import Git
from providing import BRANCH, COMMIT, code_of

# What a run would carry, asked as `start_run` asks; the answers go to the file that ANSWERS names.
ASK = """
import json, os
from mlflow.tracking.context.registry import resolve_tags
def ask():
    os.environ["MLFLOW_DVC_DISABLE"] = "1"
    alone = resolve_tags()
    os.environ["MLFLOW_DVC_DISABLE"] = "0"
    line = json.dumps([alone, resolve_tags()]) + "\\n"
    with open(os.environ["ANSWERS"], "a") as file:
        file.write(line)
"""
SCRIPT = ASK + "ask()\n"


class Answer(NamedTuple):
    """The tags of MLflow alone, and with the plug-in."""

    alone: dict[str, str]
    found: dict[str, str]


class Launch:
    """Run a command and return what each of its processes was told."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "answers"

    def __call__(
        self, cwd: Path, *command: str, stdin: str = "", status: int = 0, **env: str
    ) -> list[Answer]:
        self.file.write_text("")
        done = subprocess.run(
            command, cwd=cwd, input=stdin, capture_output=True, text=True, check=False,
            env={**os.environ, "ANSWERS": str(self.file), "PYTHONDONTWRITEBYTECODE": "1", **env},
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        return [Answer(*json.loads(line)) for line in self.file.read_text().splitlines()]


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    return Launch(tmp_path)


@pytest.fixture
def project(repo: Path, git: Git, tmp_path: Path) -> Path:
    """Return `repo` with code that asks, in every place that code may have; all committed."""
    (repo / "pkg").mkdir()
    (repo / "ignored").mkdir()
    for name in ("train.py", "pkg/mod.py", "ignored/script.py"):
        (repo / name).write_text(SCRIPT)
    (repo / "pkg/__init__.py").touch()
    (repo / "pkg/asking.py").write_text(ASK)
    (repo / "test_it.py").write_text("def test_it():\n    from pkg.asking import ask\n    ask()\n")
    with (repo / ".gitignore").open("a") as file:
        file.write("/ignored/\n/.venv/\n/.pytest_cache/\n")
    git("add", "--all")
    git("commit", "-q", "--message", "second")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/tool").write_text(f"#!{sys.executable}\nfrom pkg.asking import ask\nask()\n")
    (tmp_path / "bin/tool").chmod(0o755)
    return repo


def assert_at_head(answer: Answer, git: Git, project: Path, dirty: str) -> None:
    """Fail when the run does not carry HEAD, its branch, ``dirty`` and the data's hash."""
    head = git("rev-parse", "HEAD", cwd=project)
    assert code_of(answer.found) == (head, "main", dirty), answer.found
    assert answer.found["dvc.status"] == "clean", answer.found


# ---- from one file ----


def test_a_script_from_its_repository_and_from_elsewhere(
    project: Path, git: Git, launch: Launch, tmp_path: Path
) -> None:
    for cwd, path in ((project, "train.py"), (tmp_path / "empty", "../project/train.py")):
        (answer,) = launch(cwd, sys.executable, path)
        assert_at_head(answer, git, project, "false")
        assert answer.alone[COMMIT] == answer.found[COMMIT]
        assert "git.dirty" not in answer.alone


@pytest.mark.parametrize("how", ["-c", "stdin"])
def test_code_without_a_file_has_the_commit_of_the_working_directory(
    project: Path, git: Git, launch: Launch, how: str
) -> None:
    command = (sys.executable, "-c", SCRIPT) if how == "-c" else (sys.executable, "-")
    (answer,) = launch(project / "data", *command, stdin=SCRIPT)
    assert_at_head(answer, git, project, "false")
    assert COMMIT not in answer.alone


def test_a_module_run_by_name(project: Path, git: Git, launch: Launch) -> None:
    (answer,) = launch(project, sys.executable, "-m", "pkg.mod")
    assert_at_head(answer, git, project, "false")


def test_a_console_script_outside_the_repository(
    project: Path, git: Git, launch: Launch, tmp_path: Path
) -> None:
    (answer,) = launch(project, str(tmp_path / "bin/tool"), PYTHONPATH=str(project))
    assert_at_head(answer, git, project, "false")
    assert COMMIT not in answer.alone


def test_pytest(project: Path, git: Git, launch: Launch) -> None:
    (answer,) = launch(project, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert_at_head(answer, git, project, "false")
    assert answer.alone.get(COMMIT) != answer.found[COMMIT]


# ---- code that is not in HEAD ----


def test_a_script_in_an_ignored_folder_is_code_that_no_commit_holds(
    project: Path, git: Git, launch: Launch
) -> None:
    (answer,) = launch(project, sys.executable, "ignored/script.py")
    assert_at_head(answer, git, project, "true")
    assert "git.tree" not in answer.found
    assert COMMIT not in answer.alone


def test_an_untracked_script_is_code_that_no_commit_holds(
    project: Path, git: Git, launch: Launch
) -> None:
    (project / "new.py").write_text(SCRIPT)
    (answer,) = launch(project, sys.executable, "new.py")
    assert_at_head(answer, git, project, "true")
    assert answer.found["git.untracked"] == "1"
    assert not {"git.dirty", "mlflow.source.git.dirty"} & answer.alone.keys()


@pytest.mark.parametrize("module", ["helpers.py", "ignored/helpers.py"])
def test_an_imported_module_that_no_commit_holds_makes_it_dirty(
    project: Path, git: Git, launch: Launch, module: str
) -> None:
    (project / module).write_text("X = 1\n")
    code = f"import sys; sys.path.insert(0, {str((project / module).parent)!r}); import helpers\n"
    (answer,) = launch(project, sys.executable, "-c", code + SCRIPT)
    assert_at_head(answer, git, project, "true")


# ---- what is no code of the project ----


def test_installed_packages_data_and_logs_in_the_worktree_make_nothing_dirty(
    project: Path, git: Git, launch: Launch
) -> None:
    packages = project / ".venv/lib/python3.99/site-packages"
    packages.mkdir(parents=True)
    (packages / "installed.py").write_text("X = 1\n")
    for name in ("mlflow.db", "train.log", "unused.py"):
        (project / name).write_text("x = 1\n")
    code = f"import sys; sys.path.insert(0, {str(packages)!r}); import installed\n"
    (answer,) = launch(project, sys.executable, "-c", code + SCRIPT)
    assert_at_head(answer, git, project, "false")
    assert answer.found["git.untracked"] == "3"


def test_a_virtual_environment_in_the_worktree_that_is_not_ignored_makes_nothing_dirty(
    project: Path, git: Git, launch: Launch
) -> None:
    """A real one, whose interpreter runs a console script that lies in it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "env"], cwd=project, check=True)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    packages = project / "env/lib" / version / "site-packages"
    (packages / "seen.pth").write_text("\n".join(path for path in sys.path if "-packages" in path))
    (packages / "installed.py").write_text(SCRIPT)
    (project / "env/bin/tool").write_text("import installed\n")
    python = str(project / "env/bin/python")
    with (project / ".gitignore").open("a") as file:
        file.write("/env/lib64\n")
    git("commit", "-qam", "ignore")
    (answer,) = launch(project, python, "env/bin/tool", PYTHONPATH=os.pathsep.join(sys.path))
    assert_at_head(answer, git, project, "false")


# ---- in time ----


def test_a_commit_during_the_process_shows_where_mlflow_alone_stays_at_the_old_one(
    project: Path, git: Git, launch: Launch
) -> None:
    code = (
        "ask()\nimport subprocess\n"
        "subprocess.run(['git', 'commit', '-q', '--allow-empty', '--message', 'x'], check=True)\n"
        "subprocess.run(['git', 'checkout', '-q', '-b', 'new'], check=True)\n"
        "import time; time.sleep(1.05); ask()\n"
    )
    (project / "train.py").write_text(ASK + code)
    git("commit", "-qam", "third")
    first, second = launch(project, sys.executable, "train.py")
    assert code_of(second.found) == (git("rev-parse", "HEAD"), "new", "false")
    assert code_of(first.found) == (git("rev-parse", "HEAD~"), "main", "false")
    assert second.alone[COMMIT] == first.found[COMMIT]
    assert second.alone.get(BRANCH, "main") == "main"  # MLflow 2.16 says no branch
