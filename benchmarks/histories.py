"""Repositories with more than one commit, and folders of hooks, for the cases about Git."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess

from benchmarks import repositories
from benchmarks.bench import Bench

CHANGED = "data/part00/table0000.csv"
_CHANGED_FILES = 10
READ_LISTING = "import json, sys; json.load(open(sys.argv[1], encoding='utf-8'))"


def history(bench: Bench, name: str) -> str:
    """Return a repository with the branches ``main``, ``code`` (other code), ``data`` (other data).

    The first output, or ten files of the directory, are others on ``data``; all is in the cache.
    """
    root = os.path.join(bench.base, f"history-{name}")
    if not os.path.isdir(root):
        shutil.copytree(bench.repository(name), f"{root}.new", symlinks=True)
        _branches(f"{root}.new")
        os.rename(f"{root}.new", root)
    return root


def hooks_folder(bench: Bench, repo: str, kind: str) -> str:
    """Return a folder with these hooks: ``none``, ``empty``, ``ours`` or ``dvc``."""
    folder = os.path.join(bench.base, f"hooks-{os.path.basename(repo)}-{kind}")
    os.makedirs(folder, exist_ok=True)
    for event, text in _HOOKS[kind](bench.python).items():
        path = os.path.join(folder, event)
        with open(path, "wb") as file:
            file.write(text)
        os.chmod(path, 0o755)
    if kind == "ours":
        _hook(bench, repo, "post-checkout")  # as `mlflow-dvc install` leaves it: once in sync
    return folder


def listing(repo: str) -> str:
    """Return the path of the directory's ``.dir`` object, of the version that is checked out."""
    with open(os.path.join(repo, repositories.FOLDER_OUTPUT + ".dvc"), encoding="utf-8") as file:
        md5 = file.read().partition("md5: ")[2].split()[0]
    return os.path.join(repo, ".dvc", "cache", "files", "md5", md5[:2], md5[2:])


def least_work(repo: str) -> None:
    """Copy ten files, look at each of the directory once: less cannot be done."""
    folder = os.path.join(repo, repositories.FOLDER_OUTPUT)
    names = sorted(os.listdir(folder))
    for name in names:
        os.stat(os.path.join(folder, name))
    for name in names[:_CHANGED_FILES]:
        shutil.copyfile(os.path.join(folder, name), os.path.join(repo, ".dvc", "tmp", "copy"))


def _branches(root: str) -> None:
    _git(root, "branch", "code")
    _git(root, "branch", "data")
    _commit_on(root, "code", {"changed.py": b"CHANGED = 1\n"})
    _git(root, "checkout", "--quiet", "data")
    if os.path.isdir(os.path.join(root, repositories.FOLDER_OUTPUT)):
        _change_folder(root)
    else:
        _keep(root, CHANGED, b"x,y\nother,1\n")
    _git(root, "commit", "--quiet", "--all", "--message", "other data")
    _git(root, "checkout", "--quiet", "main")
    _git(root, "branch", "start")


def _keep(root: str, path: str, content: bytes) -> None:
    """Put other bytes into the cache, and their hash into the metadata."""
    md5 = _object(root, content, "")
    with open(os.path.join(root, path + ".dvc"), "wb") as file:
        name = os.path.basename(path)
        file.write(repositories.metadata(md5, len(content), None, name))


def _change_folder(root: str) -> None:
    path = os.path.join(root, repositories.FOLDER_OUTPUT)
    listing = []
    for number, name in enumerate(sorted(os.listdir(path))):
        if number < _CHANGED_FILES:
            md5 = _object(root, f"other picture {number}\n".encode(), "")
        else:
            with open(os.path.join(path, name), "rb") as file:
                md5 = hashlib.md5(file.read()).hexdigest()
        listing.append({"md5": md5, "relpath": name})
    md5 = _object(root, json.dumps(listing, sort_keys=True).encode(), ".dir")
    with open(path + ".dvc", "wb") as out:
        out.write(repositories.metadata(md5, 1, len(listing), os.path.basename(path)))


def _object(root: str, content: bytes, suffix: str) -> str:
    md5 = hashlib.md5(content).hexdigest() + suffix
    path = os.path.join(root, ".dvc", "cache", "files", "md5", md5[:2], md5[2:])
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, 0o444)
    return md5


def _commit_on(root: str, branch: str, files: dict[str, bytes]) -> None:
    _git(root, "checkout", "--quiet", branch)
    for name, content in files.items():
        with open(os.path.join(root, name), "wb") as file:
            file.write(content)
        _git(root, "add", "--", name)
    _git(root, "commit", "--quiet", "--message", branch)
    _git(root, "checkout", "--quiet", "main")


def _ours(python: str) -> dict[str, bytes]:
    from mlflow_dvc_plugin.sync.events import EVENTS
    from mlflow_dvc_plugin.sync.scripts import script

    return {event: script(event, python) for event in EVENTS}


def _of_dvc(python: str) -> dict[str, bytes]:
    return {
        event: f'#!/bin/sh\nexec "{python}" -m dvc git-hook {event} "$@"\n'.encode()
        for event in ("post-checkout", "pre-commit", "pre-push")
    }


def _empty(python: str) -> dict[str, bytes]:
    return dict.fromkeys(_ours(python), b"#!/bin/sh\nexit 0\n")


def _none(python: str) -> dict[str, bytes]:
    del python
    return {}


_HOOKS = {"none": _none, "empty": _empty, "ours": _ours, "dvc": _of_dvc}


def _hook(bench: Bench, root: str, event: str) -> None:
    command = [bench.python, "-m", "mlflow_dvc_plugin.hook", event]
    subprocess.run(command, cwd=root, check=True)


def _git(root: str, *args: str) -> None:
    subprocess.run(["git", *args], cwd=root, stdout=subprocess.DEVNULL, check=True)
