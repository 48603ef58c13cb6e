"""``mlflow-dvc verify``: tell whether runs could be brought back."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from mlflow_dvc_plugin.cli.datarepo import data_repo_option
from mlflow_dvc_plugin.cli.progress import progress
from mlflow_dvc_plugin.cli.runjson import run_json
from mlflow_dvc_plugin.cli.table import print_table
from mlflow_dvc_plugin.cli.text import counted, fail, printable, shortened
from mlflow_dvc_plugin.errors import MlflowDvcError

if TYPE_CHECKING:
    from mlflow_dvc_plugin.lineage.place import Promise
    from mlflow_dvc_plugin.lineage.subjects import Subject
    from mlflow_dvc_plugin.lineage.verify import Report

_LISTED = 20  # runs with which all is well, named one by one
_INDENTED = 100  # runs
_NAMED = 5  # troubles of one run
_COLOURS = {"reproducible": "green", "only here": "yellow", "unknown": "yellow", "broken": "red"}
_EXAMPLES = """\b
Examples:
  mlflow-dvc verify 3f2ab0c9                         one run
  mlflow-dvc verify models:/churn@champion --deep    the model in production, file by file
  mlflow-dvc verify --experiment churn --limit 100
  mlflow-dvc verify --registered --require reproducible     a gate for CI
"""


@click.command("verify", epilog=_EXAMPLES)
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@click.option("--experiment", "experiments", multiple=True, metavar="NAME",
              help="All runs of this experiment; may be repeated.")  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="All runs of the tracking store.")
@click.option("--registered", is_flag=True, help="The runs of all registered models' versions.")
@click.option("--deep", is_flag=True, help="Look for every file of every directory.")
@click.option("--require", type=click.Choice(["only here", "reproducible"]), default="only here",
              show_default=True, help="Exit with 1 when a run's verdict is worse.")  # fmt: skip
@click.option(
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    help="At most N runs, of experiments the newest.",
)
@data_repo_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(  # noqa: PLR0913, PLR0917 - one for each option
    runs: Sequence[str], experiments: Sequence[str], everything: bool, registered: bool,
    deep: bool, require: str, limit: int | None, data_repo: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Tell whether the code and data of runs could be brought back.

    RUN is a run id or the beginning of one, the name of a DVC experiment, models:/NAME/VERSION or
    models:/NAME@ALIAS. The Git remotes and DVC remotes of today are asked, once for all runs.

    \b
    reproducible  all of it is on remotes: any clone can bring it back
    only here     some of it is on this machine only, and would be lost with it
    broken        some of it is in no place: it cannot be brought back
    unknown       some of it cannot be proved, and nothing is known to be lost

    Exit code 0 when every run can be brought back, 1 when one is broken (or worse than --require),
    2 when one is unknown, or nothing could be asked.
    """  # noqa: D301 - \b keeps click from filling the lines
    if sum(map(bool, (runs, experiments, everything, registered))) != 1:
        raise click.UsageError("which runs? RUN..., or one of --experiment, --all, --registered")
    from mlflow_dvc_plugin import gitdir
    from mlflow_dvc_plugin.lineage.store import experiment_names, open_client
    from mlflow_dvc_plugin.lineage.verify import verify

    try:
        worktree = gitdir.require_worktree(os.getcwd())
        client = open_client()
        names = experiment_names(client) if as_json else {}
        subjects = _subjects(client, runs, experiments, registered, limit)
        with progress() as show:
            reports = verify(worktree, subjects, show, deep=deep, data_repo=data_repo)
    except MlflowDvcError as error:  # nothing is proved, and nothing is known to be broken
        return fail(error.message, error.hint, 2)
    code = _exit_code(reports, require)
    if as_json:
        # Indented, a thousand runs take longer to write than to verify some of them.
        indent = 2 if len(reports) <= _INDENTED else None
        click.echo(json.dumps(_report(reports, names, code), indent=indent))
    else:
        _print(reports)
    return code


def _subjects(
    client: Any, runs: Sequence[str], experiments: Sequence[str], registered: bool,
    limit: int | None,
) -> list[Subject]:  # fmt: skip
    from mlflow_dvc_plugin.lineage import subjects

    if runs:
        return subjects.named(client, runs)[:limit]
    if registered:
        return subjects.registered(client, limit)
    return subjects.in_experiments(client, experiments, limit)


def _exit_code(reports: Sequence[Report], require: str) -> int:
    verdicts = {one.verdict for one in reports}
    if "broken" in verdicts or (require == "reproducible" and "only here" in verdicts):
        return 1
    return 2 if "unknown" in verdicts else 0


def _report(reports: Sequence[Report], names: Mapping[str, str], code: int) -> dict[str, Any]:
    return {
        "exit_code": code,
        "counts": dict(Counter(one.verdict for one in reports)),
        "runs": [run_values(one, names) for one in reports],
    }


def run_values(report: Report, names: Mapping[str, str]) -> dict[str, Any]:
    """Return a run's report as plain values; ``names`` are those of experiments by id."""
    return {
        **run_json(report.subject.run, names),
        "models": list(report.subject.models),
        "verdict": report.verdict,
        "promises": [_values(one) for one in report.promises],
    }


def _values(one: Promise) -> dict[str, Any]:
    place = one.place
    return {
        "kind": one.kind, "name": one.name, "hash": one.hash or None, "verdict": one.verdict,
        "here": place.here, "on_remote": place.away, "remote": place.where or None,
        "reason": place.reason or None, "hint": place.hint or None,
    }  # fmt: skip


def _print(reports: Sequence[Report]) -> None:
    if not reports:
        click.echo("there are no runs")
        return
    well = [one for one in reports if one.verdict == "reproducible"]
    bad = [one for one in reports if one.verdict != "reproducible"]
    _table([*bad, *well[:_LISTED]])
    if len(well) > _LISTED:
        click.echo(f"and {len(well) - _LISTED} more that are reproducible")
    counts = Counter(one.verdict for one in reports)
    told = ", ".join(f"{number} {verdict}" for verdict, number in counts.most_common())
    click.echo(f"{counted(len(reports), 'run')}: {told}")
    hints = Counter(one.place.hint for report in bad for one in report.troubles)
    for hint, _ in hints.most_common(_NAMED):
        if hint:
            click.echo(f"hint: {hint}", err=True)


def _table(reports: Sequence[Report]) -> None:
    rows = []
    for report in reports:
        run = report.subject.run
        cells = {"run": run.run_id[:8] if run else "", "name": _name(report), **_cells(report)}
        texts = {title: printable(cell) for title, cell in cells.items()}
        rows.append({"verdict": report.verdict, **texts, "why": printable(_why(report))})
    print_table(rows, whole=("verdict", "run"), colours=_COLOURS)


def _name(report: Report) -> str:
    run = report.subject.run
    return ", ".join([*([run.name] if run else []), *report.subject.models])


def _cells(report: Report) -> dict[str, str]:
    of = {kind: [one for one in report.promises if one.kind == kind]
          for kind in ("commit", "snapshot", "data")}  # fmt: skip
    told = {
        kind: ", ".join(f"{one.name[:8] or 'none'} {where(one)}" for one in of[kind])
        for kind in ("commit", "snapshot")
    }
    away = sum(one.place.away is True for one in of["data"])
    here = sum(one.place.here is True for one in of["data"])
    data = f"{away} of {len(of['data'])} on the remote, {here} here" if of["data"] else ""
    return {**told, "data": data}


def verdict_text(verdict: str) -> str:
    """Return the verdict in its colour."""
    return click.style(verdict, fg=_COLOURS[verdict])


def where(one: Promise) -> str:
    """Return in a few words where the thing is."""
    words = {True: "here", False: "not here", None: "here?"}
    there = {True: f"on {one.place.where}", False: "on no remote", None: "on a remote?"}
    return f"{words[one.place.here]}, {there[one.place.away]}"


def _why(report: Report) -> str:
    named: dict[str, list[str]] = {}
    for one in report.troubles:
        named.setdefault(one.place.reason, []).append(one.name[:40] or one.kind)
    texts = []
    for reason, names in named.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        texts.append(shortened(f"{names[0]}{more}: {reason}", 200))
    rest = [f"and {len(texts) - _NAMED} more"] if len(texts) > _NAMED else []
    return "; ".join([*texts[:_NAMED], *rest])
