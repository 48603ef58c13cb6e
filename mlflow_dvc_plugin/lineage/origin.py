"""Whether a run was made in a clone of this repository."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mlflow_dvc_plugin.lineage.record import Record
from mlflow_dvc_plugin.tags import REPO_URL, UNKNOWN, public_url

_HOST = re.compile(r"(?:\w[\w+.-]*://)?(?:[^@/]*@)?(?P<host>[^/:]+)(?::\d+)?[:/]+(?P<path>.+)\Z")


def foreign(run: Record, urls: Iterable[str]) -> str | None:
    """Return the URL that the run names as its repository's, when no remote here has it.

    None as well where that is not known: a run without a URL may be anybody's.
    """
    named = run.tags.get(REPO_URL, UNKNOWN)
    if named == UNKNOWN:
        return None
    ours = {_place(public_url(url)) for url in urls}
    return None if _place(named) in ours else named


def _place(url: str) -> tuple[str, str]:
    """Return host and path: ``git@host:team/repo.git`` and ``https://host/team/repo`` are equal."""
    if url.startswith("file://"):
        url = url.removeprefix("file://")
    match = None if url.startswith(("/", ".", "~")) else _HOST.match(url)
    host, path = (match["host"].lower(), match["path"]) if match else ("", url)
    return host, path.rstrip("/").removesuffix(".git").strip("/")
