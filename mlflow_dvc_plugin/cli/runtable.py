"""The runs that were found, as a table or as JSON, printed page by page."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from mlflow_dvc_plugin.cli import table
from mlflow_dvc_plugin.cli.runjson import run_json
from mlflow_dvc_plugin.cli.text import day_and_minute, moment, printable, shortened
from mlflow_dvc_plugin.errors import MlflowDvcError

if TYPE_CHECKING:
    from mlflow_dvc_plugin.cli.progress import Bars
    from mlflow_dvc_plugin.lineage.hits import Answer, Hit, Version

_PAGE = 500  # rows under one heading
_METRICS = 5


class Some:
    """The first ``limit`` of the hits; at the end ``cut`` tells whether there are more.

    ``chosen``: others were left out before.
    """

    def __init__(self, hits: Iterator[Hit], limit: int | None, chosen: bool) -> None:
        self._hits = hits
        self._left = limit
        self.chosen = chosen
        self.cut = False

    def __iter__(self) -> Iterator[Hit]:
        """Yield them, the rest when asked again."""
        for hit in self._hits:
            if self._left == 0:
                self.cut = True
                return
            if self._left is not None:
                self._left -= 1
            yield hit


def print_json(answer: Answer, hits: Some, names: Mapping[str, str], bars: Bars) -> int:
    """Print one JSON object, each run as soon as it is known; return how many there were.

    It is whole JSON also when the store fails half way: then ``error`` says so.
    """
    number = 0
    click.echo('{"runs": [', nl=False)
    failed: MlflowDvcError | None = None
    try:
        for hit in bars.between(iter(hits)):
            click.echo(("," if number else "") + "\n  " + json.dumps(_row(hit, names)), nl=False)
            number += 1
    except MlflowDvcError as error:
        failed = error
    bars.pause()
    rest = {
        "kind": answer.kind, "complete": answer.complete and failed is None and not hits.cut,
        "limited": hits.cut,
        "incomplete": answer.gaps, "notes": answer.notes, "now": answer.now,
        "versions": [_version(one, answer) for one in answer.versions],
        **({"error": failed.message} if failed else {}),
    }  # fmt: skip
    click.echo("],\n" + json.dumps(rest, indent=1)[1:])
    if failed is not None:
        raise failed
    return number


def print_table(
    answer: Answer, hits: Some, names: Mapping[str, str], metrics: Sequence[str], bars: Bars
) -> int:
    """Print the runs, then the versions of the data; return how many runs there were."""
    number = 0
    used: Counter[str | None] = Counter()
    for page in bars.between(_pages(iter(hits))):
        number += len(page)
        used.update(hit.version for hit in page)
        table.print_table(_columns(page, names, metrics))
    if answer.versions:
        click.echo()
        rows = [
            {"version": one.hash, "since": (one.commit or "no commit here")[:14],
             "date": day_and_minute(one.when and one.when * 1000),
             "on disk": "now" if one.hash == answer.now else "",
             **({} if hits.cut or hits.chosen else {"runs": str(used[one.hash])})}
            for one in answer.versions
        ]  # fmt: skip
        table.print_table(rows)
    return number


def _pages(hits: Iterator[Hit]) -> Iterator[list[Hit]]:
    """Yield the rows in pages; what is known when the store fails is shown before the error."""
    while True:
        page: list[Hit] = []
        try:
            for hit in itertools.islice(hits, _PAGE):
                page.append(hit)  # noqa: PERF402 - it is kept when the next one fails
        except MlflowDvcError:
            if page:
                yield page
            raise
        if not page:
            return
        yield page


def _columns(
    page: Sequence[Hit], names: Mapping[str, str], metrics: Sequence[str]
) -> list[dict[str, str]]:
    shown = metrics or sorted({name for hit in page for name in hit.run.metrics})[:_METRICS]
    params = _differing([hit.run.params for hit in page])
    asked = len({hit.commit for hit in page}) > 1
    # Data is found by its hash: what there is to say of the match is said of commits.
    matches = any(hit.commit or hit.differs for hit in page)
    return [
        {
            "run": f"{hit.run.run_id[:8]} {printable(hit.run.name)}",
            "experiment": printable(names.get(hit.run.experiment_id, hit.run.experiment_id)),
            "start": day_and_minute(hit.run.start),
            "commit": (hit.run.commit or "unknown")[:10] + (" dirty" if hit.run.dirty else ""),
            **({"of": (hit.commit or "")[:10]} if asked else {}),
            **({"match": _match(hit)} if matches else {}),
            **({"data": f"{(hit.version or '')[:10]} {printable(hit.path or '')}"} if hit.path else
               {"data": hit.run.tags.get("dvc.hash", "unknown")[:10]}),
            **{name: shortened(printable(hit.run.params.get(name, "")), 30) for name in params},
            **{name: _number(hit.run.metrics.get(name)) for name in shown},
        }
        for hit in page
    ]  # fmt: skip


def _match(hit: Hit) -> str:
    how = _HOW.get(hit.how, "")
    some = ", ".join(map(printable, hit.differs[:3]))
    more = f" and {len(hit.differs) - 3} more" if len(hit.differs) > 3 else ""
    return f"{how}{hit.match}" + (f": {some}{more}" if some else "")


_HOW = {
    "before": "made before it, ",
    "same tree": "another commit, same tree, ",
    "data commit": "the commit of its data, ",
}


def _differing(params: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the names of the parameters that are not the same in all rows."""
    every = {name for each in params for name in each}
    return sorted(name for name in every if len({each.get(name) for each in params}) > 1)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _row(hit: Hit, names: Mapping[str, str]) -> dict[str, Any]:
    run = hit.run
    return {
        **run_json(run, names), "of": hit.commit, "how": hit.how,
        "match": hit.match, "differs": hit.differs, "path": hit.path, "version": hit.version,
        "data": run.tags.get("dvc.hash"), "params": dict(run.params), "metrics": dict(run.metrics),
    }  # fmt: skip


def _version(one: Version, answer: Answer) -> dict[str, Any]:
    when = moment(one.when and one.when * 1000)
    return {"path": one.path, "version": one.hash, "commit": one.commit, "date": when,
            "now": one.hash == answer.now}  # fmt: skip
