"""``mlflow-dvc status``: what a run started now would carry."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from mlflow_dvc_plugin.cli.text import counted, printable, shortened, switched_off

if TYPE_CHECKING:
    from mlflow_dvc_plugin.provenance import Code, Data, OutputState, Provenance

_LISTED = 20  # clean outputs named one by one
_COLOURS = {"clean": "green", "modified": "red", "unknown": "yellow", "missing": "yellow"}
_EXAMPLES = """\b
Examples:
  mlflow-dvc status
  mlflow-dvc status && python train.py       train only from a clean state
  mlflow-dvc status --hash                   compare data of any size
  mlflow-dvc status --json | python -m json.tool
"""


@click.command("status", epilog=_EXAMPLES)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--hash", "thorough", is_flag=True,
              help="Read all data that is not known to be unchanged, without a time limit, and "
              "remember the result for the runs to come.")  # fmt: skip
def command(as_json: bool, thorough: bool) -> int:
    """Show what a run started here, now, would carry.

    A run in a dirty tree also keeps the tree, as a snapshot: this command makes none. Beside the
    tags: the recorded and the actual hash of each output, and what stands against
    bringing the run back.

    The capture is the provider's own. It differs from a training script's in one way: this command
    is not that script. A script or module that Git does not track makes a run dirty once it is
    loaded, and a script that is a dependency of one DVC stage narrows the input data to that
    stage's; neither is seen here.

    Exit code 1 when the tree is dirty, data is not clean, or there is no repository.
    """
    provenance, tags = _look(thorough)
    found = _report(provenance, tags)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        _print(provenance, found)
    return 0 if found["clean"] else 1


def _look(thorough: bool) -> tuple[Provenance, dict[str, str]]:
    from mlflow_dvc_plugin.capture.live import Facts, capture
    from mlflow_dvc_plugin.tags import to_tags

    with progress(thorough and sys.stderr.isatty()):
        provenance, settings = capture(Facts(), thorough=thorough)
    named = _run_context()
    tags = to_tags(provenance, settings.output_tags)
    return provenance, {key: value for key, value in tags.items() if key not in named}


def _run_context() -> dict[str, Any]:
    """Return the tags that MLFLOW_RUN_CONTEXT sets: the provider leaves those keys alone."""
    try:
        named = json.loads(os.environ.get("MLFLOW_RUN_CONTEXT") or "{}")
    except ValueError:
        return {}
    return named if isinstance(named, dict) else {}


@contextmanager
def progress(wanted: bool) -> Iterator[None]:
    """Show, where ``wanted``, that data is being read."""
    if not wanted:
        yield
        return
    try:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    except ImportError:
        click.echo("comparing the data with its hashes ...", err=True)
        yield
        return
    columns = (SpinnerColumn(), TextColumn("comparing the data with its hashes"))
    console = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        bar.add_task("", total=None)
        yield


def _report(provenance: Provenance, tags: dict[str, str]) -> dict[str, Any]:
    """Return everything as plain values, the shape of ``--json``."""
    from mlflow_dvc_plugin.verdict import obstacles

    against = obstacles(provenance)
    if provenance.code is None and provenance.data is None:
        against.append(f"there is neither a Git nor a DVC repository in {os.getcwd()} or above it")
    return {
        "clean": not against,
        "obstacles": against,
        "disabled": switched_off(),
        "tags": {} if switched_off() else tags,
        "code": _code(provenance.code),
        "data": _data(provenance.data),
        "stage": provenance.stage,
        "warnings": [text for _, text in provenance.warnings],
    }


def _code(code: Code | None) -> dict[str, Any] | None:
    if code is None:
        return None
    return {
        "toplevel": code.toplevel, "commit": code.commit, "branch": code.branch,
        "dirty": code.dirty, "dirty_paths": list(code.dirty_paths), "untracked": code.untracked,
    }  # fmt: skip


def _data(data: Data | None) -> dict[str, Any] | None:
    if data is None:
        return None
    groups = {"input": data.inputs, "product": data.products, "missing": data.missing}
    return {
        "root": data.root,
        "toplevel": data.toplevel,
        "status": data.status,
        "outputs": [_output(state, role) for role, states in groups.items() for state in states],
        "unread": dict(data.unread),
    }


def _output(state: OutputState, role: str) -> dict[str, Any]:
    return {
        "path": state.path, "role": role, "status": state.status, "recorded": state.output.hash,
        "actual": state.hash, "reason": state.reason, "source": state.output.source,
    }  # fmt: skip


def _print(provenance: Provenance, found: dict[str, Any]) -> None:
    for text in found["warnings"]:
        click.echo(f"warning: {printable(text)}", err=True)
    if found["code"]:
        _print_code(found["code"])
    elif found["data"]:
        click.echo("code in no Git repository")
    if found["data"]:
        _print_data(found["data"])
    if found["disabled"]:
        click.echo("tags: none, because MLFLOW_DVC_DISABLE is set")
    elif found["tags"]:
        click.echo("tags of a run started now:")
        for key, value in found["tags"].items():
            click.echo(f"  {key} = {shortened(printable(value))}")
    _print_verdict(found)


def _print_code(code: dict[str, Any]) -> None:
    click.echo(f"code in {printable(code['toplevel'])}")
    where = f"branch {printable(code['branch'])}" if code["branch"] else "no branch"
    click.echo(f"  commit {code['commit'] or 'none yet'} ({where})")
    state = {True: ("dirty", "red"), False: ("clean", "green"), None: ("unknown", "yellow")}
    word, colour = state[code["dirty"]]
    click.echo(f"  tree {click.style(word, fg=colour)}")
    for path in code["dirty_paths"][:_LISTED]:
        click.echo(f"    differs from HEAD: {printable(path)}")
    if len(code["dirty_paths"]) > _LISTED:
        click.echo(f"    and {len(code['dirty_paths']) - _LISTED} more")
    if code["untracked"]:
        click.echo(f"  {counted(code['untracked'], 'untracked file')}, which do not count")


def _print_data(data: dict[str, Any]) -> None:
    click.echo(f"data in {printable(data['root'])}")
    for role, title in (("input", "inputs"), ("product", "products"), ("missing", "not on disk")):
        states = [output for output in data["outputs"] if output["role"] == role]
        if states:
            click.echo(f"  {title}:")
            _print_outputs(states)
    if not data["outputs"]:
        click.echo("  no data is tracked")


def _print_outputs(outputs: list[dict[str, Any]]) -> None:
    clean = [output for output in outputs if output["status"] in ("clean", "missing")]
    for output in [*(o for o in outputs if o not in clean), *clean[:_LISTED]]:
        status = click.style(f"{output['status']:8}", fg=_COLOURS[output["status"]])
        click.echo(f"    {status} {printable(output['path'])}  {_hashes(output)}")
    if len(clean) > _LISTED:
        click.echo(f"    and {len(clean) - _LISTED} more; all of them: mlflow-dvc status --json")


def _hashes(output: dict[str, Any]) -> str:
    recorded = output["recorded"] or "nothing"
    if output["status"] in ("clean", "missing"):
        return str(recorded)
    actual = output["actual"] or "unknown"
    return f"recorded {recorded}, on disk {actual} ({printable(output['reason'])})"


def _print_verdict(found: dict[str, Any]) -> None:
    from mlflow_dvc_plugin.config import flag

    if found["clean"]:
        missing = "dvc.missing" in found["tags"]
        rest = "; what is missing is brought by: dvc pull" if missing else ""
        click.echo(f"clean: commit and hashes say exactly what lies here{rest}")
        return
    known = found["code"] or found["data"]
    click.echo("not reproducible:" if known else "a run started here would carry no tags:")
    for text in found["obstacles"]:
        click.echo(f"  - {printable(text)}")
    if not known:
        click.echo("hint: git init and dvc init, or export MLFLOW_DVC_REPO=<project>", err=True)
    if known and flag("MLFLOW_DVC_STRICT"):
        click.echo("MLFLOW_DVC_STRICT is set: mlflow.start_run() would refuse to start")
