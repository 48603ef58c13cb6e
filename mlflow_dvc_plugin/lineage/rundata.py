"""The data of a run: what is needed of it, what could be had, and putting it in place."""

from __future__ import annotations

import os
from collections.abc import Iterator

from mlflow_dvc_plugin.capture import hashing
from mlflow_dvc_plugin.lineage.needs import Need, need_of, needs_of
from mlflow_dvc_plugin.lineage.outcome import Outcome
from mlflow_dvc_plugin.lineage.parts import How, Part
from mlflow_dvc_plugin.lineage.putting import Links, misplaced, put
from mlflow_dvc_plugin.lineage.record import Record
from mlflow_dvc_plugin.lineage.revision import Revisions, Stated
from mlflow_dvc_plugin.lineage.standing import Put, differences, renew
from mlflow_dvc_plugin.lineage.stock import Stock, without_inner
from mlflow_dvc_plugin.storage import Progress


class RunData:
    """The data of one part: what is needed, what could be had, and where that lies.

    ``later``: objects that are known are looked at once they are linked, and not before.
    """

    def __init__(  # noqa: PLR0913
        self, run: Record, part: Part, how: How, outcome: Outcome, progress: Progress,
        *, later: bool,
    ) -> None:  # fmt: skip
        self.part = part
        self.stock = Stock(part.worktree)
        self.needs: list[Need] = []
        self.stated = Stated("")
        if part.data:
            revisions = Revisions(part.worktree.toplevel)
            self.needs = self._wanted(run, revisions, how, outcome)
            objects = [need for need in without_inner(self.needs) if need.kept]
            self.stock.gather(
                objects, self.stated, progress, dry_run=how.dry_run,
                later=later and not (how.dry_run or how.in_place),
            )  # fmt: skip
            found = self.stock.gathered
            outcome.missing += found.missing
            outcome.fetched += found.count
            outcome.size = self._size(objects) if how.dry_run else found.size

    def _wanted(self, run: Record, revisions: Revisions, how: How, outcome: Outcome) -> list[Need]:
        found = needs_of(run, revisions, products=how.everything)
        for what, why in found.unknown.items():
            if what.startswith("commit "):
                text = f"where the data is kept stands in {what}, which is not here: {why}"
                outcome.notes.append(text)
            else:
                outcome.lacking[what] = why
        states = self.part.states
        if states and revisions.trees.root(states):  # it is here
            self.stated = revisions.at(states)
        needs = [*found.needs, *(self._rest(found.needs) if how.everything else ())]
        for need in needs:
            if reason := misplaced(need, self.part.folder):
                outcome.lacking[need.path] = reason
        if not needs and not found.unknown:
            outcome.notes.append("the run's tags state no data")
        outcome.notes += self._modified(needs)
        return [need for need in needs if need.path not in outcome.lacking]

    def _rest(self, known: tuple[Need, ...]) -> Iterator[Need]:
        """Yield the outputs of the commit that the run's tags do not name."""
        named = {need.path for need in known}
        for path, out in sorted(self.stated.outputs.items()):
            if path not in named and out.hash and out.scheme in hashing.SCHEMES:
                root = self.stated.roots.get(path, "")
                yield need_of(out, path, out.hash, root, product=True)

    def _modified(self, needs: list[Need]) -> Iterator[str]:
        for need in needs:
            out = self.stated.outputs.get(need.path)
            if out is not None and out.hash and out.hash != need.hash:
                yield (
                    f"{need.path} was modified when the run started: it comes back as the run had "
                    f"it ({need.hash}), not as the commit states it ({out.hash})"
                )

    def _size(self, objects: list[Need]) -> int | None:
        """Return the bytes of what is not here, None when the metadata does not tell."""
        total = 0
        found = self.stock.gathered
        lost = {one.hash for one in found.missing}
        for need in objects:
            parts = found.inside.get(need.hash, {need.hash})
            lacking = (parts & found.absent) - lost
            out = self.stated.outputs.get(need.path)
            if not lacking:
                continue
            if lacking != parts or out is None or out.size is None or out.hash != need.hash:
                return None
            total += out.size
        return total

    @property
    def executable(self) -> set[str]:
        """Paths that DVC makes executable."""
        return {path for path, out in self.stated.outputs.items() if out.isexec}

    @property
    def unsure(self) -> bool:
        """Whether there are objects that nobody has looked at yet."""
        return any(map(any, (shelf.unsure for shelf in self.stock.shelves.values())))

    def put(self, done: Put) -> None:
        """Put the data into the folder that was made for it; the stock has settled there."""
        folder = self.part.folder
        for root, shelf in self.stock.shelves.items():
            own = os.path.join(folder, root, ".dvc")
            scratch = os.path.join(own, "tmp", "mlflow-dvc") if os.path.isdir(own) else folder
            mine = [n for n in without_inner(self.needs) if n.root == root and n.kept]
            links = Links(scratch, self.stock.links[root], self.executable, self.stock.reader)
            put(folder, shelf, mine, links, done)

    def renew(self, done: Put, *, moved: bool) -> None:
        """Note how the links stand: see :func:`standing.renew`."""
        for need in self.needs:
            if shelf := self.stock.shelves.get(need.root):
                renew(self.part.folder, shelf, need, done, moved=moved)

    def check(self, outcome: Outcome, done: Put | None) -> None:
        """Compare what is on disk with the run's tags."""
        for need in self.needs:
            root = os.path.join(self.part.folder, need.root)
            shelf = self.stock.shelves.get(need.root)
            if need.path in outcome.lacking:
                continue
            wrong = list(differences(self.part.folder, root.rstrip("/"), shelf, need, done))
            if wrong:
                more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
                outcome.lacking[need.path] = wrong[0] + more
            else:
                outcome.checked[need.path] = need.hash
        for shelf in self.stock.shelves.values():
            shelf.keep()
