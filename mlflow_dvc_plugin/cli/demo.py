"""``mlflow-dvc demo``: build a small real project and look at its runs."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shlex
import shutil
import sys
from typing import TYPE_CHECKING, Any

import click

from mlflow_dvc_plugin.cli.text import printable, shortened
from mlflow_dvc_plugin.errors import MlflowDvcError

if TYPE_CHECKING:
    from collections.abc import Mapping

_FOLDER = "mlflow-dvc-demo"
_LIBRARIES = {"mlflow": "mlflow", "dvc": "dvc", "sklearn": "scikit-learn", "sqlalchemy": "mlflow"}
_EXAMPLES = """\b
Examples:
  mlflow-dvc demo
  mlflow-dvc demo /tmp/demo
"""


@click.command("demo", epilog=_EXAMPLES)
@click.argument("folder", metavar="[DIR]", required=False)
def command(folder: str | None) -> int:
    """Build a small project and look at its runs.

    It gets a Git and a DVC repository, two versions of its data, and four runs.
    DIR is ./mlflow-dvc-demo when not given, or the next free name; a folder with something in it is
    never used. The training script holds no line about Git or DVC. Runs are kept in DIR/mlflow.db;
    your Git and DVC settings are neither used nor changed. Takes less than a minute.
    """
    _require_programs()
    folder = _free_folder(folder)
    if "?" in str(folder):
        raise MlflowDvcError(
            f"{folder} holds a question mark, which ends the name of a database for MLflow",
            "mlflow-dvc demo <another folder>",
        )
    uri = f"sqlite:///{folder}/mlflow.db"
    click.echo(f"building a project in {printable(folder)}")
    from mlflow_dvc_plugin.cli import demo_project

    with demo_project.own_settings():
        _build(folder, uri)
        runs = _runs(uri)
        _show(runs)
        _find(uri, runs)
    _goodbye(folder, uri, runs)
    return 0


def _require_programs() -> None:
    for module, name in _LIBRARIES.items():
        if importlib.util.find_spec(module) is None:
            raise MlflowDvcError(
                f"the demo needs {name}, which is not installed here",
                f"{sys.executable} -m pip install {name}",
            )
    if shutil.which("git") is None:
        raise MlflowDvcError("the demo needs Git, and the git program was not found", "install Git")


def _free_folder(named: str | None) -> str:
    """Return the absolute path of a new or empty folder; create it."""
    if named is None:
        names = itertools.chain([_FOLDER], (f"{_FOLDER}-{number}" for number in itertools.count(2)))
        named = next(name for name in names if not os.path.lexists(name))
    folder = os.path.realpath(named)
    try:
        os.makedirs(folder, exist_ok=True)
        content = os.listdir(folder)
    except OSError as error:
        raise MlflowDvcError(
            f"{folder} cannot be used: {error.strerror}", "mlflow-dvc demo <another folder>"
        ) from error
    if content:
        raise MlflowDvcError(
            f"{folder} is not empty, and is left as it is", "mlflow-dvc demo <another folder>"
        )
    return folder


def _build(folder: str, uri: str) -> None:
    from mlflow_dvc_plugin.cli import demo_project as project

    _step("git init, dvc init, 100 flowers under DVC, first commit")
    project.create(folder)
    _step("run 1: python train.py")
    project.train(folder, uri)
    _step("run 2: other code, committed; the same data")
    project.set_trees(folder, 30)
    project.commit(folder, "Grow 30 trees")
    project.train(folder, uri)
    _step("run 3: the same code; 150 flowers, dvc add, committed")
    project.set_data(folder, flowers=150)
    project.commit(folder, "Train on 150 flowers")
    project.train(folder, uri)
    _step("run 4: other code, not committed")
    project.set_trees(folder, 50)
    project.train(folder, uri)


def _step(text: str) -> None:
    click.echo(f"  {text}")
    sys.stdout.flush()


def _runs(uri: str, where: str = "") -> list[Any]:
    """Return the runs that match a filter, oldest first."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    return list(client.search_runs(["0"], where, order_by=["attributes.start_time ASC"]))


def _show(runs: list[Any]) -> None:
    click.echo("\nwhat run 1 carries, from a script without a line about Git or DVC:")
    for key, value in _ours(runs[0].data.tags).items():
        click.echo(f"  {key} = {shortened(printable(value))}")
    click.echo(f"\n{'run':22} commit   dirty  {'dvc.hash':32}  accuracy")
    for run in runs:
        tags = run.data.tags
        commit, dirty = tags["mlflow.source.git.commit"][:7], tags["git.dirty"]
        accuracy = run.data.metrics["accuracy"]
        name = run.info.run_name[:21]
        click.echo(f"{name:22} {commit}  {dirty:5}  {tags['dvc.hash']}  {accuracy:.3f}")


def _ours(tags: Mapping[str, str]) -> dict[str, str]:
    own = ("git.", "dvc.", "mlflow.source.git.")
    return {key: tags[key] for key in sorted(tags) if key.startswith(own)}


def _filters(runs: list[Any]) -> list[str]:
    commit = runs[2].data.tags["mlflow.source.git.commit"]
    data = runs[0].data.tags["dvc.hash"]
    return [
        f"tags.mlflow.source.git.commit = '{commit}'",
        f"tags.dvc.hash = '{data}'",
        f"tags.dvc.data.iris.csv = '{runs[2].data.tags['dvc.data.iris.csv']}'",
        "tags.git.dirty = 'false' AND tags.dvc.status = 'clean'",
    ]


def _find(uri: str, runs: list[Any]) -> None:
    numbers = {run.info.run_id: str(number) for number, run in enumerate(runs, 1)}
    click.echo("\nfind runs by commit, by data, by one file, and those that can be trusted:")
    for where in _filters(runs):
        found = ", ".join(numbers[run.info.run_id] for run in _runs(uri, where))
        click.echo(f"  {where}\n    -> run {found}")


def _goodbye(folder: str, uri: str, runs: list[Any]) -> None:
    click.echo("\nwhat a run started there now would carry:")
    click.echo(f"  cd {shlex.quote(folder)} && mlflow-dvc status")
    click.echo("\nopen it, and paste a filter into the search box above the runs:")
    for where in _filters(runs):
        click.echo(f"  {where}")
    click.echo(f"\n  mlflow ui --backend-store-uri {shlex.quote(uri)}")
