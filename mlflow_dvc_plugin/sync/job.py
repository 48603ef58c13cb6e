"""The change of one output: what it is about, and why it was not made."""

from __future__ import annotations

from collections.abc import Set
from typing import NamedTuple

from mlflow_dvc_plugin.capture.fingerprint import Fingerprint
from mlflow_dvc_plugin.provenance import OutputState
from mlflow_dvc_plugin.sync.ledger import Entry
from mlflow_dvc_plugin.sync.objects import Cache
from mlflow_dvc_plugin.sync.plan import Target


class Stays(Exception):  # noqa: N818 - it is what happens to the data
    """The output stays as it is; why, and what could be done (as in CannotSyncError).

    ``followed``: all that is part of the data has followed, and what is not is still there.
    """

    def __init__(
        self, text: str, *, pull: bool = False, unsaved: bool = False, followed: bool = False,
        hint: str = "",
    ) -> None:  # fmt: skip
        super().__init__(text)
        self.pull = pull
        self.unsaved = unsaved
        self.followed = followed
        self.hint = hint


class Job(NamedTuple):
    """One change: ``seen`` is the fingerprint that ``state`` is true for, ``old`` its cache.

    ``tracked`` are Git's files; ``coming`` is written down before anything is put in place.
    """

    target: Target
    state: OutputState
    seen: Fingerprint | None
    old: Cache
    tracked: Set[str]
    coming: Entry | None = None
