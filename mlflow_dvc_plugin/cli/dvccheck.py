"""Does the DVC that is installed still write what we read? Tried out in a folder of its own."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata

from mlflow_dvc_plugin.cli.checks import Check

_FILES = {"one.bin": b"\0one\r\n", "two/a.txt": b"a\r\n", "two/b.txt": b"b\n"}


def formats() -> Iterator[Check]:
    """Let DVC track a file and a directory, and read back what it wrote."""
    try:
        version = metadata.version("dvc")
    except metadata.PackageNotFoundError:
        return  # the check of the versions has said so
    with tempfile.TemporaryDirectory(prefix="mlflow-dvc-", ignore_cleanup_errors=True) as folder:
        yield _compare(os.path.realpath(folder), f"DVC {version}")


def _compare(folder: str, dvc: str) -> Check:
    name = "dvc formats"
    failure = _fill(folder)
    if failure:
        text = f"{dvc} does not work here: {failure}"
        return Check(name, "problem", text, f"{sys.executable} -m dvc doctor")
    wrong = [*_metadata(folder), *_library(folder)]
    if wrong:
        text = f"{dvc} writes {', '.join(wrong)} in an unknown way: such data is unknown too"
        return Check(name, "problem", text, "use an older DVC, and report it")
    if not _state(folder):
        text = f"the records of {dvc} cannot be read: large data is hashed once more"
        return Check(name, "note", text)
    return Check(name, "ok", f"what {dvc} writes reads as expected")


def _fill(folder: str) -> str:
    """Make a DVC repository; return DVC's complaint, "" when all went well."""
    for name, content in _FILES.items():
        path = os.path.join(folder, "repo", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "GIT_"))}
    for level in ("GLOBAL", "SYSTEM"):
        env[f"DVC_{level}_CONFIG_DIR"] = os.path.join(folder, "config")
    env |= {"DVC_SITE_CACHE_DIR": os.path.join(folder, "site"), "DVC_NO_ANALYTICS": "1"}
    for args in (["init", "--no-scm", "--quiet"], ["add", "--quiet", "one.bin", "two"]):
        try:
            done = subprocess.run(
                [sys.executable, "-m", "dvc", *args], cwd=os.path.join(folder, "repo"), env=env,
                stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if done.returncode:
            lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
            return lines[-1] if lines else f"exit code {done.returncode}"
    return ""


def _metadata(folder: str) -> list[str]:
    """Return which hashes in ``.dvc`` files are not the ones we compute."""
    from mlflow_dvc_plugin.capture import hashing
    from mlflow_dvc_plugin.capture import metadata as reader
    from mlflow_dvc_plugin.capture.files import WorktreeFiles

    root = os.path.join(folder, "repo")
    found = reader.load(WorktreeFiles(root), root, "", ["one.bin.dvc", "two.dvc"], {})
    hashes = {out.path: out.hash for out in found.outputs}
    members = ((name[4:], _md5(data)) for name, data in _FILES.items() if name.startswith("two/"))
    expected = {"one.bin": _md5(_FILES["one.bin"]), "two": hashing.directory_hash(members)}
    return [f"the hash of {'a directory' if path == 'two' else 'a file'}"
            for path, value in expected.items() if hashes.get(path) != value]  # fmt: skip


def _library(folder: str) -> list[str]:
    """Return which parts of the dvc library do not answer as expected."""
    from mlflow_dvc_plugin import dvcrepo
    from mlflow_dvc_plugin.capture.files import WorktreeFiles
    from mlflow_dvc_plugin.errors import MlflowDvcError

    root = os.path.join(folder, "repo")
    template = {"stages": {"s": {"foreach": ["x"], "do": {"cmd": "true", "outs": ["${item}.o"]}}}}
    wrong = []
    try:
        stages = dvcrepo.resolve(WorktreeFiles(root), "", template)["stages"]
        if stages["s@x"]["outs"] != ["x.o"]:
            wrong.append("templates")
        with open(os.path.join(root, ".dvcignore"), "w", encoding="utf-8") as file:
            file.write("*.tmp\n")
        if dvcrepo.ignore_filter(root)(root, [], ["a.tmp", "b"])[1] != ["b"]:
            wrong.append(".dvcignore")
    except (MlflowDvcError, LookupError, TypeError) as error:
        wrong.append(f"its library's answers ({error})")
    return wrong


def _state(folder: str) -> bool:
    from mlflow_dvc_plugin.capture import dvcstate

    path = os.path.join(folder, "repo", "one.bin")
    site = os.path.join(folder, "site")
    found = dvcstate.recorded(os.path.join(folder, "repo"), {path: os.stat(path)}, site)
    return found == {path: _md5(_FILES["one.bin"])}


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
