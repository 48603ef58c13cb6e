"""What a run promises, and where each of these things is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from mlflow_dvc_plugin.gitrepo import GitError, call_git
from mlflow_dvc_plugin.lineage.imports import source_of
from mlflow_dvc_plugin.lineage.needs import Need, Needs
from mlflow_dvc_plugin.lineage.objects import Objects
from mlflow_dvc_plugin.lineage.origin import foreign
from mlflow_dvc_plugin.lineage.place import Place, Promise, lost, unknown
from mlflow_dvc_plugin.lineage.record import MORE, Record
from mlflow_dvc_plugin.lineage.revision import Stated
from mlflow_dvc_plugin.sync.stated import Wanted

_UNLISTED = "untracked files"  # Git did not list them in time: capture/codefiles.py


@dataclass(frozen=True)
class Evidence:
    """What was found out: ``commits`` by id, ``objects`` of the data, ``urls`` of our Git remotes.

    ``stated`` is what the run's commit states, None where it is not here; ``toplevel`` holds it.
    """

    toplevel: str
    commits: Mapping[str, Place]
    objects: Objects
    urls: tuple[str, ...]
    stated: Stated | None


def wanted(need: Need) -> Wanted | None:
    """Return the object to ask for, None for what DVC does not keep."""
    if not need.kept:
        return None
    return Wanted(need.root, need.remote, need.hash, need.legacy)


def promises_of(run: Record, needs: Needs, evidence: Evidence) -> tuple[Promise, ...]:
    """Return all that the run promises, its code first."""
    found = list(_code(run, evidence))
    if "dvc.schema" not in run.tags:
        place = unknown("its tags say nothing of its data", "mlflow-dvc backfill")
        return (*found, Promise("tags", "dvc.schema", place))
    return (*found, *_unproved(run, needs), *_data(run, needs, evidence))


def _code(run: Record, evidence: Evidence) -> Iterator[Promise]:
    if run.commit is None:
        yield Promise("commit", "", unknown("no commit is known"))
    else:
        yield Promise("commit", run.commit, _commit(run, run.commit, evidence))
    if run.dirty:
        yield _snapshot(run, evidence)
    elif run.dirty is None and "dvc.schema" in run.tags:
        place = unknown("whether its tree was clean is not known")
        yield Promise("code", "git.dirty", place)
    if run.data_rev:
        place = evidence.commits[run.data_rev]
        if place.verdict == "broken":
            place = unknown("it is the commit of another repository", _NAME)
        yield Promise("data commit", run.data_rev, place)


def _snapshot(run: Record, evidence: Evidence) -> Promise:
    """Return the promise of a dirty tree. What a snapshot lacks is kept nowhere: it is lost."""
    gaps = list(run.incomplete)
    if run.snapshot is None:
        why = f": {gaps[0]}" if gaps else ""
        return Promise("snapshot", "", lost(f"dirty, and no snapshot{why}"))
    place = _commit(run, run.snapshot, evidence)
    if place.verdict != "broken" and gaps:
        judge = unknown if gaps == [_UNLISTED] else lost
        verdict = judge("").verdict
        place = replace(place, reason=f"it lacks {', '.join(gaps)}", hint="", judged=verdict)
    elif place.verdict == "only here":
        place = replace(place, hint=f"mlflow-dvc push {run.run_id}")
    elif place.verdict == "broken":
        place = replace(place, hint=f"where the run was made: mlflow-dvc push {run.run_id}")
    return Promise("snapshot", run.snapshot, place)


def _commit(run: Record, commit: str, evidence: Evidence) -> Place:
    place = evidence.commits[commit]
    url = foreign(run, evidence.urls)
    if url and not place.here and not place.away:
        return unknown(f"it was made in another repository, {url}", _GO)
    return place


_GO = "go to that repository, and ask there"
_NAME = "name that repository: --data-repo DIR"


def _unproved(run: Record, needs: Needs) -> Iterator[Promise]:
    """Yield what the tags do not tell."""
    for path, reason in needs.unknown.items():
        if not path.startswith("commit "):  # which has a promise of its own
            yield Promise("data", path, unknown(reason))
    complete = "dvc.hash" in run.tags
    told = complete or any(key.startswith("dvc.manifest") for key in run.tags)
    if told and run.manifest is None and not needs.needs and "dvc.manifest" not in needs.unknown:
        yield Promise("tags", "dvc.manifest", unknown("a part of it is missing from the tags"))
    cut = [one for one in run.listed("dvc.changed") if one.startswith(MORE)]
    if cut and not complete:
        yield Promise("tags", "dvc.changed", unknown(f"the tags do not name all data: {cut[0]}"))


def _data(run: Record, needs: Needs, evidence: Evidence) -> Iterator[Promise]:
    code = run.states
    unsure = ""
    if any(path.startswith("commit ") for path in needs.unknown):
        unsure = f"where it is kept stands in the commit {(code or '')[:10]}, which is not here"
    elif run.data_rev is None and code and not evidence.commits[code].here:
        url = foreign(run, evidence.urls)
        unsure = f"it is the data of another repository, {url}" if url else ""
    for need in needs.needs:
        place = _kept_by_git(code, need, evidence) if not need.kept else None
        if place is None:
            place = _object(run, need, evidence)
        if unsure and not place.away:
            place = replace(place, away=None, reason=unsure, hint="git fetch --all", judged=None)
        yield Promise("data", need.path, place, need.hash)


def _object(run: Record, need: Need, evidence: Evidence) -> Place:
    one = wanted(need)
    if one is None:
        return unknown("DVC keeps no copy of it (cache: false), and Git has not got these bytes")
    place = evidence.objects.place(one)
    if place.verdict in ("reproducible", "unknown"):
        return place
    stated = evidence.stated
    source = source_of(evidence.toplevel, stated, need) if stated else None
    if source:
        why = f"imported from {source.url}: whether that still has it is not known"
        verb = "push" if place.here else "restore --dry-run"  # which asks that repository
        hint = f"mlflow-dvc {verb} {run.run_id}"
        return replace(place, away=None, reason=why, hint=hint, judged=None)
    remote = run.tags.get("dvc.remote")
    if remote and not place.where:
        why = f"there is no DVC remote here; the run's was {remote}"
        return replace(place, away=None, reason=why, judged=None)
    if not need.pushed:
        return replace(place, reason=f"{place.reason} (push: false, DVC never pushes it)", hint="")
    return place


def _kept_by_git(code: str | None, need: Need, evidence: Evidence) -> Place | None:
    """Return the commit's place when it holds the bytes itself: a metric, or a small output."""
    if code is None or not evidence.commits[code].here:
        return None
    try:
        data = call_git(evidence.toplevel, "cat-file", "blob", f"{code}:{need.path}")
    except GitError:
        return None
    same = hashlib.md5(data, usedforsecurity=False).hexdigest() == need.hash
    return evidence.commits[code] if same else None
