"""Git and DVC repositories of a known size, generated once into a folder.

The metadata, the data and the cache objects are written directly, as `dvc add` would have left
them: adding 1,000 files with `dvc add` takes minutes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

# The main script of every measured process: tracked, as a person's own would be.
SCRIPT = "train.py"
FOLDER_OUTPUT = "data/images"
_TRAIN = "from benchmarks.probes import main\n\nmain()\n"
_VERSION = 3


@dataclass(frozen=True)
class Size:
    """``files`` outputs that are files, a directory output of ``members`` files, ``code`` files."""

    files: int
    members: int
    code: int


SMALL = Size(files=9, members=20, code=20)
STAGES = Size(files=1_000, members=0, code=20)
FOLDER = Size(files=0, members=20_000, code=20)
SINGLE = Size(files=1, members=0, code=20)
GIT = Size(files=9, members=20, code=100_000)


def repository(base: str, name: str, size: Size) -> str:
    """Return the path of the repository ``name`` of this size below ``base``, built if needed."""
    root = os.path.join(base, name)
    stamp = root + ".complete"
    wanted = json.dumps([_VERSION, asdict(size)])
    if os.path.exists(stamp):
        with open(stamp, encoding="ascii") as file:
            if file.read() == wanted:
                return root
        os.unlink(stamp)
    shutil.rmtree(root, ignore_errors=True)
    _build(root, size)
    with open(stamp, "w", encoding="ascii") as file:
        file.write(wanted)
    return root


def _build(root: str, size: Size) -> None:
    os.makedirs(root)
    _git(root, "init", "--quiet", "--initial-branch=main")
    _git(root, "remote", "add", "origin", "https://example.org/team/project.git")
    _git(root, "fast-import", "--quiet", stdin=b"".join(_code(size.code)))
    _git(root, "reset", "--quiet", "--hard")
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], cwd=root, check=True)
    _write(os.path.join(root, SCRIPT), _TRAIN.encode())
    cache = os.path.join(root, ".dvc", "cache", "files", "md5")
    for number in range(size.files):
        folder = os.path.join(root, "data", f"part{number // 100:02}")
        _add_file(folder, f"table{number:04}.csv", f"x,y\n{number},1\n".encode() * 20, cache)
    if size.members:
        _add_folder(os.path.join(root, FOLDER_OUTPUT), size.members, cache)
    _git(root, "add", "--all")
    _git(root, "commit", "--quiet", "--message", "data")
    # Past the time in which Git, and the plugin, must take young files for changed.
    time.sleep(2.1)
    _git(root, "status", "--porcelain")


def _code(count: int) -> Iterator[bytes]:
    """Yield a fast-import stream: one commit of ``count`` files, 100 a folder."""
    yield b"commit refs/heads/main\ncommitter Bench <bench@example.org> 1700000000 +0000\n"
    yield b"data 4\ncode\n"
    for number in range(count):
        content = b"NUMBER = %d\n" % number
        yield b"M 100644 inline src/part%03d/file%02d.py\n" % divmod(number, 100)
        yield b"data %d\n%s\n" % (len(content), content)


def _add_file(folder: str, name: str, content: bytes, cache: str) -> None:
    path = os.path.join(folder, name)
    _write(path, content)
    md5 = _keep(path, content, cache)
    _write(path + ".dvc", metadata(md5, len(content), None, name))
    _ignore(folder, name)


def _add_folder(path: str, count: int, cache: str) -> None:
    listing = []
    size = 0
    for number in range(count):
        name = f"image{number:06}.txt"
        content = f"picture {number}\n".encode()
        _write(os.path.join(path, name), content)
        listing.append({"md5": _keep(os.path.join(path, name), content, cache), "relpath": name})
        size += len(content)
    folder, name = os.path.split(path)
    text = json.dumps(listing, sort_keys=True).encode()
    md5 = hashlib.md5(text).hexdigest() + ".dir"
    _write(os.path.join(cache, md5[:2], md5[2:]), text)
    _write(path + ".dvc", metadata(md5, size, count, name))
    _ignore(folder, name)


def metadata(md5: str, size: int, nfiles: int | None, name: str) -> bytes:
    """Return the text of a `.dvc` file."""
    files = "" if nfiles is None else f"  nfiles: {nfiles}\n"
    return f"outs:\n- md5: {md5}\n  size: {size}\n{files}  hash: md5\n  path: {name}\n".encode()


def _keep(path: str, content: bytes, cache: str) -> str:
    """Link the file into DVC's cache; return its md5."""
    md5 = hashlib.md5(content).hexdigest()
    os.makedirs(os.path.join(cache, md5[:2]), exist_ok=True)
    os.link(path, os.path.join(cache, md5[:2], md5[2:]))
    return md5


def _ignore(folder: str, name: str) -> None:
    with open(os.path.join(folder, ".gitignore"), "a", encoding="ascii") as file:
        file.write(f"/{name}\n")


def _write(path: str, content: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


def _git(root: str, *args: str, stdin: bytes = b"") -> None:
    subprocess.run(["git", *args], cwd=root, input=stdin, stdout=subprocess.DEVNULL, check=True)
