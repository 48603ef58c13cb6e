"""The project that ``mlflow-dvc demo`` builds: its files, and the steps to build it.

Nothing of the user's settings decides how it turns out: Git and DVC run with settings of the
demo's own, without hooks, signing or templates.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from mlflow_dvc_plugin.errors import MlflowDvcError

DATA = "data/iris.csv"
TRAIN = '''\
"""Train a classifier on iris flowers and log it to MLflow."""

import mlflow
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score

TREES = 10

table = np.loadtxt("data/iris.csv", delimiter=",", skiprows=1)
flowers, species = table[:, :-1], table[:, -1]

with mlflow.start_run():
    forest = RandomForestClassifier(n_estimators=TREES, random_state=0)
    mlflow.log_param("trees", TREES)
    mlflow.log_param("flowers", len(flowers))
    mlflow.log_metric("accuracy", cross_val_score(forest, flowers, species).mean())
'''
_GITIGNORE = "/mlflow.db*\n/mlruns/\n/mlartifacts/\n__pycache__/\n"
# Pinned, so that a shared cache in the user's own settings neither gets nor lacks this data.
_DVC_CONFIG = "[cache]\n    dir = cache\n"
_GIT_SETTINGS = """\
[user]
    name = mlflow-dvc demo
    email = demo@example.invalid
[init]
    defaultBranch = main
    templateDir =
[core]
    autocrlf = false
[commit]
    gpgSign = false
[safe]
    directory = *
"""
_COMMIT = ("commit", "--quiet", "--no-verify", "--no-gpg-sign", "--message")


@contextmanager
def own_settings() -> Iterator[None]:
    """Give this process, and the programs it starts, the demo's settings of Git, DVC and MLflow."""
    before = dict(os.environ)
    with TemporaryDirectory(prefix="mlflow-dvc-", ignore_cleanup_errors=True) as folder:
        settings = os.path.join(folder, "gitconfig")
        write(folder, "gitconfig", _GIT_SETTINGS)
        for name in before:
            if name.startswith(("GIT_", "DVC_", "MLFLOW_")):
                del os.environ[name]
        os.environ.update({
            "GIT_CONFIG_GLOBAL": settings, "GIT_CONFIG_NOSYSTEM": "1",
            "DVC_GLOBAL_CONFIG_DIR": folder, "DVC_SYSTEM_CONFIG_DIR": folder,
            "DVC_NO_ANALYTICS": "1", "MLFLOW_DISABLE_TELEMETRY": "true",
        })  # fmt: skip
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def create(folder: str) -> None:
    """Make the Git and DVC repository, with training code and the first data, in one commit."""
    from mlflow_dvc_plugin.gitrepo import call_git

    call_git(folder, "init", "--quiet")
    dvc(folder, "init", "--quiet")
    write(folder, ".dvc/config", _DVC_CONFIG)
    write(folder, ".gitignore", _GITIGNORE)
    write(folder, "train.py", TRAIN)
    set_data(folder, flowers=100)
    commit(folder, "Train on 100 flowers")


def set_data(folder: str, flowers: int) -> None:
    """Write this many of scikit-learn's iris flowers to the data file, and let DVC track it."""
    from sklearn.datasets import load_iris

    iris = load_iris()
    # A fixed stride mixes the three species, which the set lists one after the other.
    order = [(index * 7) % 150 for index in range(flowers)]
    lines = ["sepal_length,sepal_width,petal_length,petal_width,species"]
    lines += [
        ",".join(map(str, [*iris.data[index].tolist(), int(iris.target[index])])) for index in order
    ]
    write(folder, DATA, "\n".join(lines) + "\n")
    dvc(folder, "add", "--quiet", DATA)


def set_trees(folder: str, number: int) -> None:
    """Change the training code."""
    write(folder, "train.py", TRAIN.replace("TREES = 10", f"TREES = {number}"))


def commit(folder: str, message: str) -> None:
    """Commit everything in the folder."""
    from mlflow_dvc_plugin.gitrepo import call_git

    call_git(folder, "add", "--all")
    call_git(folder, *_COMMIT, message)


def train(folder: str, tracking_uri: str) -> None:
    """Run the training script."""
    run(folder, [sys.executable, "train.py"], {"MLFLOW_TRACKING_URI": tracking_uri})


def dvc(folder: str, *args: str) -> None:
    """Run a DVC command."""
    run(folder, [sys.executable, "-m", "dvc", *args])


def run(folder: str, command: list[str], variables: Mapping[str, str] | None = None) -> None:
    """Run a program in the folder; raise MlflowDvcError with the end of its output."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **(variables or {})}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    if done.returncode:
        lines = done.stdout.decode("utf-8", "replace").strip().splitlines()[-5:]
        raise MlflowDvcError(
            f"{' '.join(command[1:])} failed: {' / '.join(lines) or done.returncode}",
            "mlflow-dvc doctor",
        )


def write(folder: str, name: str, text: str) -> None:
    """Write a file of the demo's."""
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
