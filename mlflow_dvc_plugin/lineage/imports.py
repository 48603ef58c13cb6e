"""Data that is imported from another repository (``dvc import``): DVC never pushes it."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mlflow_dvc_plugin.capture import hashing
from mlflow_dvc_plugin.capture.broken import MetadataError
from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.capture.yamlfile import parse
from mlflow_dvc_plugin.dvcrepo import source
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitrepo import GitError, call_git
from mlflow_dvc_plugin.lineage.needs import Need
from mlflow_dvc_plugin.lineage.revision import Stated
from mlflow_dvc_plugin.lineage.shelf import Shelf
from mlflow_dvc_plugin.tags import public_url

_SHORT = 10  # of a commit's id


@dataclass(frozen=True)
class Source:
    """Where an import comes from: ``repo`` as the ``.dvc`` file states it, ``path`` in there."""

    repo: Mapping[str, Any]
    path: str

    @property
    def url(self) -> str:
        """The repository's URL, without secrets."""
        return public_url(str(self.repo["url"]))

    def __str__(self) -> str:
        """Return it for a message."""
        rev = str(self.repo.get("rev_lock") or "")[:_SHORT]
        return f"{self.url}, {self.path} at {rev}" if rev else f"{self.url}, {self.path}"


def source_of(toplevel: str, stated: Stated, need: Need) -> Source | None:
    """Return where a piece of a run's data is imported from; None when it is not, or changed."""
    output = stated.holder(need.path)
    if output is None or not output.source.endswith(".dvc"):
        return None
    if need.path == output.path and need.hash != output.hash:
        return None
    try:
        name = f"{stated.commit}:{output.source}"
        document = parse(call_git(toplevel, "cat-file", "blob", name))
    except (GitError, MetadataError):
        return None
    deps = document.get("deps") if isinstance(document, dict) else None
    for dep in deps or ():
        repo = dep.get("repo") if isinstance(dep, dict) else None
        if isinstance(repo, dict) and repo.get("url"):
            inside = posixpath.relpath(need.path, output.path)
            path = posixpath.normpath(posixpath.join(str(dep.get("path") or "."), inside))
            return Source(repo, path)
    return None


def count(origin: Source) -> int:
    """Return how many files there are to get; raises MlflowDvcError."""
    with _without_secrets(origin):
        return source.count(origin.repo, origin.path)


def bring(
    need: Need,
    origin: Source,
    shelf: Shelf,
    scratch: str,
    begin: Callable[[int], Callable[[], None]],
) -> tuple[set[str], int]:
    """Get the piece into the cache; return the objects that it is made of, and their bytes.

    Nothing enters the cache unless it is what the piece's hash says. Raises MlflowDvcError.
    """
    with _without_secrets(origin):
        copies = source.download(origin.repo, origin.path, scratch, begin)
    try:
        size = sum(map(os.path.getsize, copies.values()))
        if not need.hash.endswith(".dir"):
            return {_take(copies.get("", ""), need.hash, need.legacy, shelf)}, size
        return _take_directory(need, copies, shelf, scratch), size
    except (OSError, ValueError) as error:
        raise MlflowDvcError(f"what came cannot be kept ({error})") from error


@contextmanager
def _without_secrets(origin: Source) -> Iterator[None]:
    """Let errors name the repository as a message may."""
    try:
        yield
    except MlflowDvcError as error:
        text = error.message.replace(str(origin.repo["url"]), origin.url)
        raise MlflowDvcError(text, error.hint) from error


def _take_directory(need: Need, copies: Mapping[str, str], shelf: Shelf, scratch: str) -> set[str]:
    scheme, forever = hashing.scheme_of(need.legacy), Deadline(None)
    rows = {rel: hashing.file_md5(path, scheme, forever)[0] for rel, path in copies.items()}
    data = hashing.directory_listing(rows.items())
    listing = os.path.join(scratch, "listing")
    with open(listing, "wb") as file:
        file.write(data)
    names = {_take(listing, need.hash, need.legacy, shelf)}
    names.update(_take(copies[rel], md5, need.legacy, shelf) for rel, md5 in rows.items())
    return names


def _take(path: str, name: str, legacy: bool, shelf: Shelf) -> str:
    if not path or not shelf.take(path, name, legacy):
        raise MlflowDvcError("it has other bytes there than the run had")
    return name
