"""Files inside tracked directories: what the ``.dir`` listings of a run's data say of them."""

from __future__ import annotations

from collections.abc import Mapping

from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import call_git_z
from mlflow_dvc_plugin.lineage.hits import Answer
from mlflow_dvc_plugin.lineage.listings import Listings
from mlflow_dvc_plugin.lineage.needs import Need, needs_of
from mlflow_dvc_plugin.lineage.record import Record
from mlflow_dvc_plugin.lineage.revision import Revisions
from mlflow_dvc_plugin.storage import Progress, quiet
from mlflow_dvc_plugin.sync.stores import store_of


class Members:
    """Listings by their hash, from the cache or the remote of whatever DVC repository has them.

    A listing that cannot be had goes to the answer's gaps.
    """

    def __init__(
        self, worktree: Worktree, revisions: Revisions, answer: Answer, progress: Progress = quiet
    ) -> None:
        self._worktree = worktree
        self._revisions = revisions
        self._answer = answer
        self._progress = progress
        self._stores: dict[str, Listings | str] = {}
        self._known: dict[str, Mapping[str, str] | None] = {}

    def of_run(self, run: Record, path: str, name: str) -> Mapping[str, str] | None:
        """Return the listing ``name`` of the run's data at ``path``: relative path -> md5."""
        if name not in self._known:
            needs = needs_of(run, self._revisions).needs
            need = next((one for one in needs if (one.path, one.hash) == (path, name)), None)
            self.of_need(need or Need(path, name))
        return self._known[name]

    def of_need(self, need: Need) -> Mapping[str, str] | None:
        """Return the listing of a directory output."""
        name = need.hash
        if name not in self._known:
            reasons: list[str] = []
            self._progress("reading directory listings", len(self._known), 0)
            self._known[name] = self._get(need, reasons)
            if self._known[name] is None:
                text = reasons[0] if reasons else "its listing cannot be had"
                self._answer.gaps[f"{need.path} {name}"] = text
        return self._known[name]

    def _get(self, need: Need, reasons: list[str]) -> Mapping[str, str] | None:
        # Of data that was never committed nobody has written down which repository it is in.
        for root in dict.fromkeys([need.root, *self._roots()]):
            listings = self._listings(root)
            if isinstance(listings, str):
                reasons.append(listings)
                continue
            # A hash made on the spot lies in today's place, whatever the metadata's scheme was.
            for legacy in (need.legacy, not need.legacy):
                found = listings.get(need.hash, legacy, need.remote if root == need.root else None)
                if found is not None:
                    return found
                reasons.append(listings.failed.get(need.hash, ""))
        return None

    def _roots(self) -> list[str]:
        """Return the DVC repositories that are checked out here, relative to the toplevel."""
        found = call_git_z(
            self._worktree.toplevel, "ls-files", "-z", "--", ":(top,glob)**/.dvc/config"
        )
        return [path.removesuffix(".dvc/config").rstrip("/") for path in found]

    def _listings(self, root: str) -> Listings | str:
        if root not in self._stores:
            try:
                self._stores[root] = Listings(store_of(self._worktree, root, "HEAD"))
            except MlflowDvcError as error:
                self._stores[root] = error.message
        return self._stores[root]


def named(listing: Mapping[str, str], prefix: str) -> list[tuple[str, str]]:
    """Return (relative path, md5) of the files whose md5 begins with ``prefix``."""
    return sorted((path, md5) for path, md5 in listing.items() if md5.startswith(prefix))
