"""Drop the snapshots that no run needs any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlflow_dvc_plugin.capture import kept
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import snapshot as repository
from mlflow_dvc_plugin.lineage.record import SNAPSHOT
from mlflow_dvc_plugin.lineage.store import every_experiment_id, search
from mlflow_dvc_plugin.lineage.subjects import registered

_SECONDS = 10.0
_QUERY = f"tags.`{SNAPSHOT}` != ''"


@dataclass(frozen=True)
class Pruned:
    """Commits: ``dropped``; ``used`` by runs; ``strangers`` that no run of this store names."""

    dropped: tuple[str, ...]
    used: tuple[str, ...]
    strangers: tuple[str, ...]


def prune(client: Any, worktree: Worktree, *, strangers: bool, dry_run: bool) -> Pruned:
    """Drop the snapshots of deleted runs, with ``strangers`` also those that no run here names.

    That of a registered model stays, whether or not its run was deleted.

    Another tracking store may hold the runs of a stranger. Git's next garbage collection frees the
    space. Raises MlflowDvcError when the store fails: then nothing is dropped.
    """
    everywhere = every_experiment_id(client)
    alive = _needed(client, everywhere)
    dead = {run.snapshot for run in search(client, everywhere, _QUERY, deleted=True)}
    there = repository.kept(worktree.common_dir)
    used = [one for one in there if one in alive]
    unknown = [one for one in there if one not in alive and one not in dead]
    drop = [one for one in there if one not in alive and (strangers or one in dead)]
    if drop and not dry_run:
        repository.forget(worktree.common_dir, set(drop))
        kept.forget(worktree.common_dir, set(drop))
        again = _taken_again(client, everywhere, worktree, drop)
        used += again
        drop = [one for one in drop if one not in again]
    return Pruned(tuple(drop), tuple(used), () if strangers else tuple(unknown))


def _needed(client: Any, everywhere: Sequence[str]) -> set[str | None]:
    """Return the snapshots of active runs, and of those that a registered model came from.

    A model outlives its run: somebody who deletes the run may well have the model in production.
    """
    alive = {run.snapshot for run in search(client, everywhere, _QUERY)}
    return alive | {one.run.snapshot for one in registered(client, None) if one.run}


def _taken_again(
    client: Any, everywhere: Sequence[str], worktree: Worktree, dropped: Sequence[str]
) -> list[str]:
    """Keep those of them again that a run has come to share meanwhile, and return them."""
    alive = _needed(client, everywhere)
    again = [one for one in dropped if one in alive]
    for commit in again:
        repository.keep(worktree.common_dir, commit, _SECONDS)
    return again
