"""Data that is imported from another repository (``dvc import``): DVC never pushes it."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from mlflow_dvc_plugin.capture import hashing
from mlflow_dvc_plugin.capture.broken import MetadataError
from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.capture.yamlfile import parse
from mlflow_dvc_plugin.dvcrepo import source
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitrepo import GitError, call_git
from mlflow_dvc_plugin.lineage.gathered import Gathered, Missing, scratch_in
from mlflow_dvc_plugin.lineage.needs import Need
from mlflow_dvc_plugin.lineage.revision import Stated
from mlflow_dvc_plugin.lineage.shelf import Shelf
from mlflow_dvc_plugin.storage import Progress, counter
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
    for dep in deps if isinstance(deps, list) else ():
        repo = dep.get("repo") if isinstance(dep, dict) else None
        if isinstance(repo, dict) and repo.get("url"):
            inside = posixpath.relpath(need.path, output.path)
            path = posixpath.normpath(posixpath.join(str(dep.get("path") or "."), inside))
            folders = (posixpath.dirname(output.source), stated.roots.get(output.path, ""))
            url = _found(str(repo["url"]), [os.path.join(toplevel, one) for one in folders])
            return Source({**repo, "url": url}, path)
    return None


def _found(url: str, folders: Iterable[str]) -> str:
    """Return where a relative path leads: DVC states it as it was typed, in whatever folder."""
    if "://" in url or os.path.isabs(url):
        return url
    places = (os.path.normpath(os.path.join(folder, url)) for folder in folders)
    return next(filter(os.path.isdir, places), url)


class Importer:
    """Gets what no remote has from the repositories that it is imported from.

    ``sources`` tells where a piece comes from; with ``dry_run`` that is only asked for it.
    """

    def __init__(
        self, sources: Callable[[Need], Source | None], shelf: Shelf, progress: Progress,
        *, dry_run: bool,
    ) -> None:  # fmt: skip
        self._sources = sources
        self._shelf = shelf
        self._progress = progress
        self._dry_run = dry_run

    def bring(self, needs: Iterable[Need], found: Gathered) -> None:
        """Get those of the pieces that are missing, or miss a part; ``found`` tells then."""
        pieces = [
            (need, origin)
            for need in needs
            if _lost(need, found) and (origin := self._sources(need)) is not None
        ]
        with source.clones() if pieces else nullcontext():
            for need, origin in pieces:
                # None when it came with another piece that has the same objects.
                if lost := _lost(need, found):
                    self._try(need, origin, lost, found)

    def _try(self, need: Need, origin: Source, lost: list[Missing], found: Gathered) -> None:
        rest = [one for one in found.missing if one not in lost]
        try:
            self._one(need, origin, found)
        except MlflowDvcError as error:
            why = f"{origin}: {error.message}"
            rest += [replace(one, tried=(*one.tried, why)) for one in lost]
        found.missing = rest

    def _one(self, need: Need, origin: Source, found: Gathered) -> None:
        """Get the piece; nothing enters the cache unless it is what the piece's hash says."""
        if self._dry_run:
            found.count += source.count(origin.repo, origin.path, origin.url)
            found.absent.add(need.hash)
            return
        with scratch_in(self._shelf.folder, self._dry_run) as scratch:
            copies = source.download(origin.repo, origin.path, origin.url, scratch, self._counter)
            size = sum(map(os.path.getsize, copies.values()))
            names = self._take(need, copies, scratch)
        found.size += size
        found.count += len(names)
        found.absent |= names
        if need.hash.endswith(".dir"):
            found.inside[need.hash] = names - {need.hash}

    def _counter(self, total: int) -> Callable[[], None]:
        return counter(self._progress, "downloading imported files", total)

    def _take(self, need: Need, copies: Mapping[str, str], scratch: str) -> set[str]:
        """Move the copies into the cache; return the objects."""
        scheme, forever = hashing.scheme_of(need.legacy), Deadline(None)
        try:
            if not need.hash.endswith(".dir"):
                return {_take(copies.get("", ""), need.hash, need.legacy, self._shelf)}
            rows = {rel: hashing.file_md5(path, scheme, forever)[0] for rel, path in copies.items()}
            listing = os.path.join(scratch, "listing")
            with open(listing, "wb") as file:
                file.write(hashing.directory_listing(rows.items()))
            names = {_take(listing, need.hash, need.legacy, self._shelf)}
            names.update(
                _take(copies[rel], md5, need.legacy, self._shelf) for rel, md5 in rows.items()
            )
            return names
        except (OSError, ValueError) as error:
            raise MlflowDvcError(f"what came cannot be kept ({error})") from error


def _lost(need: Need, found: Gathered) -> list[Missing]:
    """Return what is missing of the piece."""
    names = {need.hash} | found.inside.get(need.hash, set())
    return [one for one in found.missing if one.hash in names]


def _take(path: str, name: str, legacy: bool, shelf: Shelf) -> str:
    if not path or not shelf.take(path, name, legacy):
        raise MlflowDvcError("it has other bytes there than the run had")
    return name
