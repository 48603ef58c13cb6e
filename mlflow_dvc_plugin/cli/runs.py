"""``mlflow-dvc runs``: the runs of a commit, of data, of a DVC experiment."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import click

from mlflow_dvc_plugin.cli.datarepo import data_repo_option
from mlflow_dvc_plugin.cli.progress import progress
from mlflow_dvc_plugin.cli.text import counted, printable

if TYPE_CHECKING:
    from mlflow_dvc_plugin.cli.progress import Bars
    from mlflow_dvc_plugin.cli.runtable import Some
    from mlflow_dvc_plugin.lineage.hits import Answer, Hit, Scope

_LISTED = 5  # gaps named one by one
_EXAMPLES = """\b
Examples:
  mlflow-dvc runs HEAD                          the runs of this commit
  mlflow-dvc runs main~20..main --best loss:min
  mlflow-dvc runs data/train.csv                each version of the data, and who used it
  mlflow-dvc runs data/train.csv@v1.0           the runs of one version
  mlflow-dvc runs data/images/cat.png           the runs whose data held this file
  mlflow-dvc runs 178ba857                      the runs with data of this hash
  mlflow-dvc runs puffy-fogy                    the runs of a DVC experiment
"""


@click.command("runs", epilog=_EXAMPLES)
@click.argument("what")
@click.option("--experiment", "experiments", multiple=True, metavar="NAME",
              help="Only runs of this experiment; may be repeated.")  # fmt: skip
@click.option("--metric", "metrics", multiple=True, metavar="NAME",
              help="Show this metric; may be repeated. By default the first five.")  # fmt: skip
@click.option("--sort", metavar="NAME[:desc]",
              help="By start, end, name, a metric or a parameter, the lowest first.")  # fmt: skip
@click.option("--best", "best_of", metavar="METRIC:min|max", help="Only the best run.")
@click.option("--now", "only_now", is_flag=True,
              help="Of a path only the version that is on disk.")  # fmt: skip
@click.option("--limit", type=click.IntRange(1), metavar="N", help="At most N runs.")
@data_repo_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(  # noqa: PLR0913
    *, what: str, experiments: tuple[str, ...], metrics: tuple[str, ...], sort: str | None,
    best_of: str | None, only_now: bool, limit: int | None, data_repo: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Find the runs of WHAT.

    WHAT is a commit, branch or tag; a range of commits; data at a path, or at path@revision; a file
    inside a tracked directory; a hash of data or its beginning; or the name of a DVC experiment.
    With --data-repo DIR a path is one in DIR.

    A commit's runs are those started from it, and those made from a dirty tree just before it that
    it holds; in a repository of data, those whose data came from it as well. Each row says whether
    the match is exact, or how the run's tree differs. What cannot be told is named, and the answer
    is then incomplete.

    Exit code 1 when there is no such run.
    """
    from dataclasses import replace

    from mlflow_dvc_plugin import gitdir
    from mlflow_dvc_plugin.cli.runtable import Some
    from mlflow_dvc_plugin.lineage import ranking
    from mlflow_dvc_plugin.lineage.find import find_runs
    from mlflow_dvc_plugin.lineage.what import meaning_of_either

    best = ranking.best(best_of) if best_of else None
    folder = os.getcwd()
    worktree, meant = meaning_of_either(gitdir.find_worktree(folder), what, folder, data_repo)
    if only_now and meant.kind != "path":
        raise click.UsageError("--now is for a path")
    scope, names = _scope(experiments)
    # JSON is printed run by run: whoever reads it through a pipe sees how far it is.
    with progress(wanted=not as_json or sys.stdout.isatty()) as bars:
        answer = find_runs(replace(scope, progress=bars), worktree, meant)
        hits = answer.hits
        if only_now:
            hits = _on_disk_now(answer)
        if best:
            hits = ranking.top(hits, best)
        elif sort:
            hits = ranking.ranked(hits, ranking.rank(sort), limit)
        chosen = bool(best or only_now)
        shown = (best.name, *metrics) if best and metrics else metrics
        return _print(answer, Some(hits, limit, chosen), names, shown, as_json, bars)


def _scope(experiments: tuple[str, ...]) -> tuple[Scope, dict[str, str]]:
    """Return where to search, and the names of the experiments by their ids."""
    from mlflow_dvc_plugin.lineage.hits import Scope
    from mlflow_dvc_plugin.lineage.store import experiment_ids, experiment_names, open_client

    client = open_client()
    names = experiment_names(client)
    ids = experiment_ids(client, experiments) if experiments else list(names)
    return Scope(client, ids), names


def _on_disk_now(answer: Answer) -> Iterator[Hit]:
    return (hit for hit in answer.hits if hit.version is not None and hit.version == answer.now)


def _print(  # noqa: PLR0913, PLR0917
    answer: Answer, hits: Some, names: Mapping[str, str], metrics: tuple[str, ...],
    as_json: bool, bars: Bars,
) -> int:  # fmt: skip
    from mlflow_dvc_plugin.cli import runtable

    if as_json:
        return 0 if runtable.print_json(answer, hits, names, bars) else 1
    number = runtable.print_table(answer, hits, names, metrics, bars)
    if not number:
        click.echo("no run was found")
    if hits.cut:
        click.echo("note: there are more; raise --limit", err=True)
    for note in answer.notes:
        click.echo(f"note: {printable(note)}", err=True)
    if answer.gaps:
        click.echo(f"incomplete: {counted(len(answer.gaps), 'thing')} could not be told")
        for name, reason in itertools.islice(answer.gaps.items(), _LISTED):
            click.echo(f"  {printable(name)}: {printable(reason)}")
        if len(answer.gaps) > _LISTED:
            click.echo(f"  and {len(answer.gaps) - _LISTED} more; all of them: --json")
    return 0 if number else 1
