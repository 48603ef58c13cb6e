"""Projects whose data has two versions, with the real hook scripts in place."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CHECKOUT, Dvc, Git
from inprocess import mlflow_dvc

from mlflow_dvc_plugin.sync.events import SYNC_EVENTS

ONE = {
    "data/train.csv": "x,y\n1,2\n3,4\n",
    "data/images/cat.png": "picture of a cat\n",
    "data/images/dog.png": "picture of a dog\n",
    "data/images/fox.png": "picture of a fox\n",
}
TWO = {
    "data/train.csv": "x,y\n5,6\n",
    "data/images/cat.png": "another cat\n",
    "data/images/dog.png": "picture of a dog\n",
    "data/images/sub/owl.png": "an owl\n",
}


def data_in(folder: Path) -> dict[str, str]:
    """Return the content of every data file, by its path below ``folder``."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted((folder / "data").rglob("*"))
        if path.is_file() and not path.name.endswith((".dvc", ".gitignore"))
    }


def write_data(folder: Path, files: dict[str, str]) -> None:
    """Make the data folder hold exactly these files beside DVC's."""
    for name in data_in(folder):
        (folder / name).unlink()
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def git_says(*args: str) -> str:
    """Run Git, which must succeed; return what the hooks say."""
    done = subprocess.run(["git", *args], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def sync(*args: str) -> tuple[int, str]:
    """Run `mlflow-dvc sync`."""
    code, out, err = mlflow_dvc("sync", *args)
    return code, out + err


def install_scripts(folder: Path) -> None:
    """Put the scripts into ``.git/hooks`` as `mlflow-dvc install` does."""
    for event in SYNC_EVENTS:
        text = (CHECKOUT / "hooks" / event).read_text()
        script = folder / ".git/hooks" / event
        script.parent.mkdir(exist_ok=True)
        script.write_text(text.replace("python=''", f"python='{sys.executable}'"))
        script.chmod(0o755)


def refused(*args: str) -> str:
    """Run Git, which must fail; return what it and the hooks say."""
    done = subprocess.run(["git", *args], capture_output=True, text=True, check=False)
    assert done.returncode != 0, done.stdout
    return done.stderr


def count_starts(project: Path) -> Path:
    """Let the installed scripts note every start of Python, a line each, in the file returned."""
    noted, wrapper = project.parent / "starts", project.parent / "python"
    noted.touch()
    wrapper.write_text(f'#!/bin/sh\necho "$*" >>"{noted}"\nexec "{sys.executable}" "$@"\n')
    wrapper.chmod(0o755)
    for script in (project / ".git/hooks").glob("post-*"):
        script.write_text(script.read_text().replace(sys.executable, str(wrapper)))
    return noted


def number(count: int) -> dict[str, str]:
    """Return the data of the commit tagged ``d<count>`` of the branch `series`."""
    return ONE | {"data/train.csv": f"x,y\n{count},{count}\n"}


@pytest.fixture(scope="session")
def versions_template(
    project_template: Path, tmp_path_factory: pytest.TempPathFactory, git: Git, dvc: Dvc
) -> Path:
    """Version ONE on `main`, TWO on `two`, and code commits on top of both."""
    folder = tmp_path_factory.mktemp("versions")
    shutil.copytree(project_template, folder, symlinks=True, dirs_exist_ok=True)
    project = folder / "project"
    git("branch", "two", cwd=project)
    (project / "code.py").write_text("1\n")
    git("add", "code.py", cwd=project)
    git("commit", "-qm", "code on main", cwd=project)
    git("checkout", "-q", "two", cwd=project)
    write_data(project, TWO)
    dvc("add", "--quiet", "data/train.csv", "data/images", cwd=project)
    git("commit", "-qam", "second data", cwd=project)
    (project / "other.py").write_text("1\n")
    git("add", "other.py", cwd=project)
    git("commit", "-qm", "code on two", cwd=project)
    git("checkout", "-q", "main", cwd=project)
    dvc("checkout", "--quiet", cwd=project)
    shutil.rmtree(project / ".dvc/tmp")
    return folder


@pytest.fixture
def versions(versions_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project of the test's own, hooks in place and synced, on `main` with ONE."""
    shutil.copytree(versions_template, tmp_path, symlinks=True, dirs_exist_ok=True)
    project = tmp_path / "project"
    monkeypatch.chdir(project)
    monkeypatch.setenv("GIT_EDITOR", "true")
    install_scripts(project)
    assert os.spawnl(os.P_WAIT, sys.executable, sys.executable, "-m", "mlflow_dvc_plugin.hook",
                     "post-checkout") == 0  # fmt: skip
    return project


@pytest.fixture
def series(versions: Path, git: Git, dvc: Dvc) -> Path:
    """Check out `series`: five more commits, each with other data; `base` is what it left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_DVC_SKIP_HOOKS", "1")
        git("checkout", "-q", "-b", "base")
        git("commit", "-q", "--allow-empty", "-m", "base moves on")
        git("checkout", "-q", "-b", "series", "main")
        for count in range(1, 6):
            write_data(versions, number(count))
            dvc("add", "--quiet", "data/train.csv")
            git("commit", "-qam", f"data {count}")
            git("tag", f"d{count}")
    git("checkout", "-q", "--force", "series")
    return versions
