"""The other repository that an import (``dvc import``) comes from, read through DVC itself."""

from __future__ import annotations

import copy
import os
import posixpath
import re
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from mlflow_dvc_plugin.dvcrepo.reading import dvc_quiet, short
from mlflow_dvc_plugin.errors import MlflowDvcError

_CAUSES = 3
_PROMPT = "GIT_TERMINAL_PROMPT"
_SECRET = 4  # characters; "git" is none
_USER = re.compile(r"(\w://)[^\s/'\"]*@")
_SILENCE = 60.0  # seconds; a Git server that is at work says so every five


def count(repo: Mapping[str, Any], path: str, shown: str) -> int:
    """Return how many files an import names at its locked revision; raises MlflowDvcError.

    ``shown`` is the repository's URL as errors may name it.
    """
    with _opened(repo, path, shown) as (_, names):
        return len(names)


def download(
    repo: Mapping[str, Any], path: str, shown: str, folder: str,
    begin: Callable[[int], Callable[[], None]],
) -> dict[str, str]:  # fmt: skip
    """Copy what an import names, at its locked revision, into ``folder``.

    ``repo`` is the ``repo:`` of the dependency in a ``.dvc`` file, ``path`` a file or directory in
    that repository, ``shown`` its URL as errors may name it. ``begin`` is told how many files
    there are, and what it returns is called for each. Returns the absolute path of each copy by
    its path below ``path`` ("" for a file). The copies have names of their own: what the other
    repository calls its files decides nothing on this disk. Raises MlflowDvcError.
    """
    with _opened(repo, path, shown) as (fs, names):
        done = begin(len(names))
        copies = [os.path.join(folder, str(number)) for number in range(len(names))]
        for name, place in zip(names, copies, strict=True):
            fs.get_file(name, place)
            done()
    base = f"{posixpath.normpath(path)}/"
    found = zip(names, copies, strict=True)
    return {name[len(base) :] if name.startswith(base) else "": place for name, place in found}


@contextmanager
def clones() -> Iterator[None]:
    """Let one clone serve all imports from a repository; what is left of clones goes at the end.

    DVC forgets the folder of a clone that failed or was stopped: so they get a folder of their own.
    Nobody is asked for a password, and a server that says nothing is not waited for for ever.
    """
    folder, silence, prompt = tempfile.tempdir, socket.getdefaulttimeout(), _asking("0")
    with tempfile.TemporaryDirectory(prefix="mlflow-dvc-", ignore_cleanup_errors=True) as made:
        tempfile.tempdir = made
        socket.setdefaulttimeout(_SILENCE)
        try:
            yield
        finally:
            tempfile.tempdir = folder
            socket.setdefaulttimeout(silence)
            _asking(prompt)
            _forget()


def _asking(value: str | None) -> str | None:
    """Set what DVC's Git asks before it asks a person; return what it was."""
    before = os.environ.pop(_PROMPT, None)
    if value is not None:
        os.environ[_PROMPT] = value
    return before


def _forget() -> None:
    if "dvc.repo.open_repo" in sys.modules:
        from dvc.repo.open_repo import clean_repos

        clean_repos()


@contextmanager
def _opened(repo: Mapping[str, Any], path: str, shown: str) -> Iterator[tuple[Any, list[str]]]:
    """Open the repository, a clone of it where it is not on this disk, and list the files."""
    with dvc_quiet():
        try:
            from dvc.fs import DVCFileSystem

            with closing(DVCFileSystem(**_arguments(repo))) as fs:
                names = sorted(fs.find(path))
                if not names:
                    raise FileNotFoundError(f"{path} is not there")
                yield fs, names
        except Exception as error:  # Git's, DVC's, and those of each kind of storage
            raise MlflowDvcError(_reason(error, str(repo["url"]), shown)) from error


def _arguments(repo: Mapping[str, Any]) -> dict[str, Any]:
    """Return what DVC opens the repository of an import with (``dvc/dependency/repo.py``).

    Less its ``config`` when that is the name of a file: it is one of the commit, not on this disk.
    """
    remote, config = repo.get("remote"), repo.get("config")
    return {
        "url": str(repo["url"]), "rev": repo.get("rev_lock") or repo.get("rev"), "subrepos": True,
        "config": copy.deepcopy(config) if isinstance(config, dict) else {},
        "remote": None if isinstance(remote, dict) else remote,
        "remote_config": remote if isinstance(remote, dict) else None,
    }  # fmt: skip


def _reason(error: BaseException, url: str, shown: str) -> str:
    """Return the text of the error, and of what it was raised from: DVC says "SCM error" alone."""
    texts: list[str] = []
    while len(texts) < _CAUSES:
        texts.append(short(_public(str(error), url, shown)) or type(error).__name__)
        if error.__cause__ is None:
            break
        error = error.__cause__
    return ": ".join(dict.fromkeys(texts))


def _public(text: str, url: str, shown: str) -> str:
    """Take secrets out, before the text is cut: the URL may stand there whole, or in pieces."""
    text = text.replace(url, shown)
    user = url.rpartition("@")[0].rpartition("/")[2]
    pieces = {user, user.partition(":")[2], *re.split(r"[?#;]", url)[1:]}
    for piece in sorted(pieces, key=len, reverse=True):
        if len(piece) >= _SECRET:
            text = text.replace(piece, "***")
    text = re.sub(rf" to '{re.escape(tempfile.gettempdir())}[^']*'", "", text)
    return _USER.sub(r"\1", text)
