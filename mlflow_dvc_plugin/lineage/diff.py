"""Two runs beside each other, or one and the worktree: code, data, parameters, metrics."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from mlflow_dvc_plugin import gitdir
from mlflow_dvc_plugin.capture import places
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.lineage.codediff import CodeDiff, code_diff
from mlflow_dvc_plugin.lineage.dataobjects import Objects, OnDisk
from mlflow_dvc_plugin.lineage.datarepo import require_data
from mlflow_dvc_plugin.lineage.dataside import Side, side_of_disk, side_of_run
from mlflow_dvc_plugin.lineage.outputdiff import DataDiff, data_diff
from mlflow_dvc_plugin.lineage.record import Record
from mlflow_dvc_plugin.lineage.revision import Revisions

T = TypeVar("T")
_APART = (
    "the data lies in another repository than the code, and what is in its directories is not "
    f"known here; name it: --data-repo DIR, or export {places.REPO_VARIABLE}"
)
PARTS = ("code", "data", "params", "metrics")


@dataclass(frozen=True)
class Diff:
    """What differs between ``first`` and ``second`` (None: the worktree); a part not asked is None.

    Parameters and metrics are name -> (first, second), None where a run has none of that name.
    """

    first: Record
    second: Record | None
    code: CodeDiff | None
    data: DataDiff | None
    params: Mapping[str, tuple[str | None, str | None]] | None
    metrics: Mapping[str, tuple[float | None, float | None]] | None
    warnings: tuple[str, ...] = ()

    @property
    def same(self) -> bool | None:
        """Whether nothing differs; None when nothing is known to, and something is not known."""
        parts = [part.same for part in (self.code, self.data) if part is not None]
        parts += [not values for values in (self.params, self.metrics) if values is not None]
        return False if False in parts else None if None in parts else True


def diff(  # noqa: PLR0913
    first: Record,
    second: Record | None,
    *,
    parts: Collection[str] = PARTS,
    everything: bool = False,
    patch: bool = False,
    data_repo: str | None = None,
) -> Diff:
    """Compare two runs, or one with the worktree, in the repository of the working directory.

    ``parts`` are some of PARTS. ``everything`` compares all outputs, not only inputs.
    ``data_repo`` is a folder of the data's repository; raises MlflowDvcError when it is none, and
    nothing for what a repository or a tag does not tell: that is unknown in the result.
    """
    warnings: list[tuple[str, str]] = []
    if data_repo:
        require_data(data_repo)
    begin = places.start(warnings, data_repo)
    # Code and data in two repositories: MLFLOW_DVC_REPO names that of the data.
    apart = any(run.data_rev for run in (first, second) if run)
    folder = os.getcwd() if apart else begin.folder
    code_at = gitdir.find_worktree(folder) if folder else None
    code = code_diff(code_at, first, second, patch=patch) if "code" in parts else None
    data = None
    if "data" in parts:
        root = places.find_dvc_root(begin, code_at)
        if apart and root is None:
            warnings.append((places.REPO_VARIABLE, _APART))
        data = _data(first, second, code_at, root, warnings, everything, data_repo)
    return Diff(
        first, second, code, data,
        _values(first.params, second.params) if second and "params" in parts else None,
        _values(first.metrics, second.metrics) if second and "metrics" in parts else None,
        tuple(text for _, text in warnings),
    )  # fmt: skip


def _values(
    first: Mapping[str, T], second: Mapping[str, T]
) -> dict[str, tuple[T | None, T | None]]:
    names = sorted({*first, *second})
    pairs = {name: (first.get(name), second.get(name)) for name in names}
    # repr: a metric that is nan in both runs did not change.
    return {name: (one, other) for name, (one, other) in pairs.items() if repr(one) != repr(other)}


def _data(  # noqa: PLR0913, PLR0917
    first: Record, second: Record | None, code_at: Worktree | None, root: str | None,
    warnings: list[tuple[str, str]], everything: bool, given: str | None,
) -> DataDiff:  # fmt: skip
    worktree = gitdir.find_worktree(root) if root else code_at
    objects = Objects(worktree, root)
    revisions = Revisions(worktree.toplevel) if worktree else None
    one = side_of_run(first, revisions, objects)
    other = side_of_run(second, revisions, objects) if second else _now(warnings, given)
    return data_diff(one, other, everything=everything)


def _now(warnings: list[tuple[str, str]], given: str | None) -> Side:
    """Look at the data on disk, all of it, however long that takes."""
    from mlflow_dvc_plugin.capture.live import Facts, capture

    facts = Facts()
    found, _ = capture(facts, thorough=True, given=given)
    warnings += found.warnings
    data = found.data
    if data is None or not data.root:
        reasons = [*(data.unread.values() if data else ()), "there is no one DVC repository here"]
        return Side(gap=reasons[0])
    root = os.path.relpath(data.root, data.toplevel).replace(os.sep, "/")
    return side_of_disk(data, OnDisk(facts, data), "" if root == "." else root)
