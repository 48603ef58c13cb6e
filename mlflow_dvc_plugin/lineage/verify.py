"""Whether runs could be brought back: what of their code and data is here, and on a remote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.lineage import commits, gitremotes, submodules
from mlflow_dvc_plugin.lineage.datarepo import data_worktree
from mlflow_dvc_plugin.lineage.needs import Needs, needs_of
from mlflow_dvc_plugin.lineage.objects import Objects
from mlflow_dvc_plugin.lineage.place import Place, Promise, Verdict, unknown, worst
from mlflow_dvc_plugin.lineage.promises import Evidence, promises_of, wanted
from mlflow_dvc_plugin.lineage.record import Record
from mlflow_dvc_plugin.lineage.revision import Revisions, Stated
from mlflow_dvc_plugin.lineage.subjects import Subject
from mlflow_dvc_plugin.lineage.submodules import Submodules
from mlflow_dvc_plugin.storage import Progress
from mlflow_dvc_plugin.sync.stated import Wanted

_AT_ONCE = 500  # runs


@dataclass(frozen=True)
class Report:
    """A run, or what was to be one, with everything that it promises."""

    subject: Subject
    promises: tuple[Promise, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all that it promises."""
        return worst(promise.verdict for promise in self.promises)

    @property
    def troubles(self) -> tuple[Promise, ...]:
        """What its verdict comes from."""
        return tuple(one for one in self.promises if one.verdict == self.verdict != "reproducible")


@dataclass
class _Side:
    """A repository with the runs whose code, or data, comes from it."""

    worktree: Worktree
    objects: Objects
    revisions: Revisions
    ids: set[str] = field(default_factory=set)
    needs: dict[str, Needs] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)


def verify(
    worktree: Worktree, subjects: Sequence[Subject], progress: Progress, *, deep: bool = False,
    data_repo: str | None = None,
) -> list[Report]:  # fmt: skip
    """Return what is where of each run; Git and DVC remotes are asked once for all of them.

    ``data_repo`` is a folder of the data's repository, where that is not the code's: raises
    MlflowDvcError when it is none. What the network does not answer is unknown. Raises GitError
    when Git fails here.
    """
    code = _side(worktree, progress, deep)
    other = data_worktree(worktree, data_repo)
    data = _side(other, progress, deep) if other and other != worktree else code
    runs = [subject.run for subject in subjects if subject.run]
    for run in runs:
        code.ids.update(one for one in (run.commit, run.snapshot) if one)
        data.ids.update([run.data_rev] if run.data_rev else [])
    sides = [code] if data is code else [code, data]
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(commits.places, side.worktree, side.ids) for side in sides]
        for side in sides:
            _read(side, [run for run in runs if (data if run.data_rev else code) is side], progress)
        for side in sides:
            side.objects.ask(_wanted(side, runs))
        for side, answer in zip(sides, asked, strict=True):
            side.places = answer.result()
    urls = tuple(gitremotes.urls(worktree))
    inside = submodules.find(worktree, code.revisions, (run.code for run in runs if run.code))
    return [
        Report(subject, (*_promises(subject, code, data, urls), *_inside(subject, inside)))
        for subject in subjects
    ]


def _side(worktree: Worktree, progress: Progress, deep: bool) -> _Side:
    objects = Objects(worktree, progress, deep=deep)
    return _Side(worktree, objects, Revisions(worktree.toplevel))


def _read(side: _Side, runs: Sequence[Record], progress: Progress) -> None:
    """Find out what the runs need; their commits are read many at a time."""
    for begin in range(0, len(runs), _AT_ONCE):
        some = runs[begin : begin + _AT_ONCE]
        side.revisions.prefetch({rev for run in some if (rev := run.states)})
        side.needs.update((run.run_id, needs_of(run, side.revisions)) for run in some)
        progress("reading commits", begin + len(some), len(runs))


def _wanted(side: _Side, runs: Iterable[Record]) -> dict[Wanted, str]:
    """Return the objects of all runs, each with a commit that knows its DVC repository."""
    found: dict[Wanted, str] = {}
    for run in runs:
        for need in side.needs[run.run_id].needs if run.run_id in side.needs else ():
            one = wanted(need)
            if one is not None:
                found.setdefault(one, run.states or "HEAD")
    return found


def _promises(
    subject: Subject, code: _Side, data: _Side, urls: tuple[str, ...]
) -> tuple[Promise, ...]:
    run = subject.run
    if run is None:
        return (Promise("run", subject.label, unknown(subject.reason, subject.hint)),)
    side = data if run.data_rev else code
    evidence = Evidence(
        side.worktree.toplevel, {**data.places, **code.places}, side.objects, urls,
        _stated(run, side),
    )  # fmt: skip
    return promises_of(run, side.needs[run.run_id], evidence)


def _inside(subject: Subject, found: Submodules) -> Iterable[Promise]:
    code = subject.run.code if subject.run else None
    return found.promises(code) if code else ()


def _stated(run: Record, side: _Side) -> Stated | None:
    rev = run.states
    try:
        return side.revisions.at(rev) if rev else None
    except MlflowDvcError:
        return None
