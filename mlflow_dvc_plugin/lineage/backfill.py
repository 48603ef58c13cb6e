"""Tag the runs that were made before the plugin, from what their commits state.

A run counts as done once it has ``dvc.schema``, which is written last: whatever ends a backfill,
the next one goes on where it stopped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlflow_dvc_plugin import tracking
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitrepo import GitError, how_to_fetch
from mlflow_dvc_plugin.lineage.past import Past, SeveralError
from mlflow_dvc_plugin.lineage.record import Record
from mlflow_dvc_plugin.lineage.store import NEWEST, search
from mlflow_dvc_plugin.storage import Progress
from mlflow_dvc_plugin.tags import COMMIT

_DONE = "dvc.schema"
_STARTED = f"tags.{COMMIT} != ''"
_COMMITS_AT_ONCE = 100
_RUNS_AT_ONCE = 100
# What a store answers about a run that was deleted, or is not to be changed: the others go on.
_THIS_RUN = frozenset({
    "BAD_REQUEST", "INVALID_PARAMETER_VALUE", "INVALID_STATE", "PERMISSION_DENIED",
    "RESOURCE_DOES_NOT_EXIST",
})  # fmt: skip
_Run = tuple[str, str | None]  # its id, and the name of its main script


@dataclass
class Backfilled:
    """What was found, and done.

    ``runs`` lack the tags and ``commits`` is how many commits they name. ``here`` are the runs
    whose commit could be read, ``written`` those that got their tags. ``absent`` maps a commit
    that is not here to its runs, ``broken`` one that cannot be read to the reason. ``several``
    maps a commit with several DVC repositories to the runs for which that is no answer;
    ``refused`` maps a run that the store refused to the reason. ``tagged`` runs need nothing;
    ``hint`` is the command that may bring what is absent.
    """

    runs: int = 0
    commits: int = 0
    here: int = 0
    written: int = 0
    tagged: int | None = None
    hint: str = ""
    absent: Counter[str] = field(default_factory=Counter)
    broken: dict[str, str] = field(default_factory=dict)
    several: Counter[str] = field(default_factory=Counter)
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether nothing stands against tagging every run."""
        return not (self.absent or self.broken or self.several or self.refused)


def backfill(  # noqa: PLR0913
    client: Any, toplevel: str, experiments: Sequence[str], *, limit: int | None = None,
    write: bool = False, named: str | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Backfilled:  # fmt: skip
    """Find the runs of these experiments (ids) without tags and say what they would get.

    With ``write`` they get it; no tag that a run has is changed. ``limit`` takes the newest runs
    only, ``named`` is the DVC repository of all runs where a commit has several, ``progress``
    is told how many runs are done. Raises MlflowDvcError when the store fails half way: what was
    written is complete, and the next call does the rest.
    """
    groups = _untagged(client, experiments, limit)
    found = Backfilled(runs=sum(map(len, groups.values())), commits=len(groups))
    if not write:
        query = f"tags.{_DONE} != ''"
        found.tagged = sum(1 for _ in search(client, experiments, query))
    done = 0
    past = Past(toplevel, named)
    for some in _parts(list(groups), _COMMITS_AT_ONCE):
        past.revisions.prefetch(some)
        runs = [(run, commit) for commit in some for run in groups[commit]]
        for batch in _parts(runs, _RUNS_AT_ONCE):
            todo = list(_with_tags(batch, past, found))
            if write and todo:
                _write_all(client, experiments, todo, found)
            done += len(batch)
            progress("runs", done, found.runs)
    if found.absent:
        found.hint = how_to_fetch(toplevel)
    return found


def _untagged(
    client: Any, experiments: Sequence[str], limit: int | None
) -> Mapping[str, Sequence[_Run]]:
    """Return the runs by the commit they name, the newest first.

    All before the first is written: pages are counted from the start, and a run that gets its tags
    drops out of them.
    """
    groups: dict[str, dict[str, str | None]] = {}
    for run in _search_untagged(client, experiments, limit):
        script = run.tags.get("mlflow.source.name")
        local = run.tags.get("mlflow.source.type", "LOCAL") == "LOCAL"
        groups.setdefault(run.tags[COMMIT], {})[run.run_id] = script if local else None
    return {commit: list(runs.items()) for commit, runs in groups.items()}


def _search_untagged(
    client: Any, experiments: Sequence[str], limit: int | None
) -> Iterator[Record]:
    try:
        query = f"{_STARTED} AND tags.{_DONE} IS NULL"
        yield from search(client, experiments, query, order=NEWEST, limit=limit)
    except MlflowDvcError as error:
        if getattr(error.__cause__, "error_code", "") != "INVALID_PARAMETER_VALUE":
            raise
        # MLflow before 3.0 cannot ask for what is not there.
        count = 0
        for run in search(client, experiments, _STARTED, order=NEWEST):
            if _DONE not in run.tags:
                yield run
                count += 1
                if count == limit:
                    return


def _with_tags(
    batch: Iterable[tuple[_Run, str]], past: Past, found: Backfilled
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield (run id, tags) where the commit tells them; count the others."""
    for (run_id, script), commit in batch:
        if past.revisions.trees.root(commit) is None:
            found.absent[commit] += 1
            continue
        try:
            tags = past.tags(commit, script)
        except SeveralError:
            found.several[commit] += 1
        except GitError as error:
            found.broken[commit] = error.message
        else:
            found.here += 1
            yield run_id, tags


def _write_all(
    client: Any, experiments: Sequence[str], todo: Sequence[tuple[str, Mapping[str, str]]],
    found: Backfilled,
) -> None:  # fmt: skip
    """Write what the runs lack, as they are now: somebody else may have tagged them meanwhile."""
    ids = ", ".join(f"'{run_id}'" for run_id, _ in todo)
    now = search(client, experiments, f"attributes.run_id IN ({ids})")
    present = {run.run_id: run.tags for run in now}
    for run_id, tags in todo:
        if run_id not in present:
            found.refused[run_id] = "it was deleted meanwhile"
        elif _DONE not in present[run_id]:
            new = {key: value for key, value in tags.items() if key not in present[run_id]}
            _write(client, run_id, new, found)


def _write(client: Any, run_id: str, tags: Mapping[str, str], found: Backfilled) -> None:
    from mlflow.entities import RunTag

    # Last, for a store that writes one after the other.
    order = sorted(tags, key=lambda key: key == _DONE)
    try:
        client.log_batch(run_id, tags=[RunTag(key, tags[key]) for key in order])
    except tracking.store_errors() as error:
        uri = tracking.tracking_uri()
        text = tracking.one_line(error, uri)
        if getattr(error, "error_code", "") in _THIS_RUN:
            found.refused[run_id] = text
            return
        raise MlflowDvcError(
            f"the tracking store {tracking.shown(uri)} cannot be used any more: {text}; "
            f"{found.written} runs have got their tags",
            "mlflow-dvc backfill --apply goes on from there",
        ) from error
    found.written += 1


def _parts(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
