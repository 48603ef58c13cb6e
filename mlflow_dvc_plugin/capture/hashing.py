"""DVC's content hashes, computed from bytes.

The rules are DVC's (``dvc_data/hashfile``): md5 of the bytes; ``md5-dos2unix``, the scheme of
DVC 2.x, turns CRLF into LF in every block of 1 MiB whose first 512 bytes look like text; a
directory's hash is the md5 of the JSON list of its files, sorted by path, with ``.dir`` behind it.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator

from mlflow_dvc_plugin.capture.deadline import Deadline

SCHEMES = ("md5", "md5-dos2unix")
_BLOCK = 1 << 20
_TEXT = bytes(range(32, 127)) + b"\n\r\t\f\b"


def scheme_of(legacy: bool) -> str:
    """Return the name of the scheme; ``legacy``: that of DVC 2.x."""
    return SCHEMES[legacy]


def file_md5(path: str, scheme: str, deadline: Deadline) -> tuple[str, os.stat_result]:
    """Return the file's md5 under ``scheme``, and the stat it was true for.

    Raises OSError, ValueError when the file is not a regular one or changed while it was read,
    OutOfTimeError.
    """
    digest = hashlib.md5(usedforsecurity=False)
    # O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    with open(handle, "rb", buffering=0) as file:
        before = os.fstat(handle)
        if not stat.S_ISREG(before.st_mode):
            raise ValueError(f"{path} is not a regular file")
        while block := file.read(_BLOCK):
            if scheme == "md5-dos2unix":
                block = _full_block(file, block)
                if _looks_like_text(block[:512]):
                    block = block.replace(b"\r\n", b"\n")
            digest.update(block)
            deadline.check()
        after = os.fstat(handle)
    if identity(before) != identity(after):
        raise ValueError(f"{path} changed while it was read")
    return digest.hexdigest(), after


def identity(info: os.stat_result) -> str:
    """Return inode, size in bytes, mtime and ctime in ns: while it stays, so do the bytes."""
    return f"{info.st_ino} {info.st_size} {info.st_mtime_ns} {info.st_ctime_ns}"


def directory_hash(files: Iterable[tuple[str, str]]) -> str:
    """Return DVC's hash of a directory from its (relative POSIX path, md5) pairs."""
    digest = hashlib.md5(usedforsecurity=False)
    for part in _listing(files):
        digest.update(part)
    return digest.hexdigest() + ".dir"


def directory_listing(files: Iterable[tuple[str, str]]) -> bytes:
    """Return the bytes that :func:`directory_hash` is the hash of: DVC's ``.dir`` object."""
    return b"".join(_listing(files))


def _listing(files: Iterable[tuple[str, str]]) -> Iterator[bytes]:
    separator = ""
    yield b"["
    for relpath, md5 in sorted(files):
        yield f'{separator}{{"md5": "{md5}", "relpath": {quoted(relpath)}}}'.encode()
        separator = ", "
    yield b"]"


def quoted(text: str) -> str:
    """Return ``json.dumps(text)``, quickly where nothing needs an escape."""
    plain = text.isascii() and text.isprintable() and '"' not in text and "\\" not in text
    return f'"{text}"' if plain else json.dumps(text)


def _full_block(file: object, block: bytes) -> bytes:
    """Read on until the block is 1 MiB or the file ends: blocks decide where CRLF is looked for."""
    while len(block) < _BLOCK:
        more: bytes = file.read(_BLOCK - len(block))  # type: ignore[attr-defined]
        if not more:
            break
        block += more
    return block


def _looks_like_text(block: bytes) -> bool:
    if not block:
        return True
    if b"\x00" in block:
        return False
    return len(block.translate(None, _TEXT)) / len(block) <= 0.30
