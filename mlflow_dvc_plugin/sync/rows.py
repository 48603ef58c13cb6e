"""DVC's listing of a directory, the ``.dir`` object: which file has which hash.

JSON, a list of ``{"md5": ..., "relpath": ...}`` (``dvc_data/hashfile/tree.py``). Anybody may have
written the one that comes from a cache or a remote.
"""

from __future__ import annotations

import hashlib
import json
import os

from mlflow_dvc_plugin.capture.hashing import quoted
from mlflow_dvc_plugin.sync.bounds import is_reserved

_MD5 = 32
# In names between line breaks: a part that begins with a dot or is empty, a NUL, and what Windows
# takes for a separator.
_ODD = ("\n.", "/.", "\n/", "//", "/\n", "\n\n", "\0", "\\")
_EMPTY = b"[]"
_BLOCK = 1 << 13  # bytes; a power of two
# As DVC writes it. Inside a name each quotation mark has a backslash before it: these begin a file.
_FIRST, _NEXT = b'{"md5": "', b', {"md5": "'


def rows_of(data: bytes, name: str) -> dict[str, str]:
    """Return relative path -> md5 of the listing with the hash ``name``.

    Raises ValueError, with the reason, when the bytes are not its own, are no list of files, or
    name a path outside the directory or in a repository's own folder: nobody's data does.
    """
    require_own(data, name)
    return _rows(data)


def require_own(data: bytes, name: str) -> None:
    """Raise ValueError unless the bytes have the hash that the name says."""
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != name[:_MD5]:
        raise ValueError("it holds other bytes than its name says")


def differing(one: bytes, other: bytes) -> tuple[dict[str, str], dict[str, str]] | None:
    """Return the rows of either listing that are not in the other one, without reading the rest.

    None where they are not written as DVC writes them, or the rows that differ are none that
    ``rows_of`` takes.
    """
    if not (_is_dvcs(one) and _is_dvcs(other)):
        return None
    found = []
    for texts in _other_hashes(one, other) or _other_rows(_texts(one), _texts(other)):
        try:
            rows = _rows(b"[" + b", ".join(_FIRST + text for text in texts) + b"]")
        except ValueError:
            return None
        if set(map(_text, rows.items())) != set(texts) or len(rows) != len(texts):
            return None  # more in one than a file, or a path twice: only the whole list tells
        found.append(rows)
    return (found[0], found[1]) if found else None


def _is_dvcs(data: bytes) -> bool:
    return data == _EMPTY or (data.startswith(b"[" + _FIRST) and data.endswith(b"}]"))


def _texts(data: bytes) -> list[bytes]:
    """Return what is written of each file, from its hash on."""
    return [] if data == _EMPTY else data[len(_FIRST) + 1 : -1].split(_NEXT)


def _text(row: tuple[str, str]) -> bytes:
    return f'{row[1]}", "relpath": {quoted(row[0])}}}'.encode()


def _other_hashes(one: bytes, other: bytes) -> tuple[list[bytes], ...]:
    """Return the texts that differ where nothing but hashes does; nothing where more does.

    Most of two versions of a directory is the same, and is not even taken apart.
    """
    if len(one) != len(other):
        return ()
    mine, theirs, at = [], [], 0
    while (at := _difference(one, other, at)) >= 0:
        last = one.rfind(_NEXT, 0, at)
        begin = last + len(_NEXT) if last >= 0 else len(_FIRST) + 1
        hashed = begin + _MD5
        end = one.find(_NEXT, hashed)
        if end < 0:
            end = len(one) - 1
        if not begin <= at < hashed or one[hashed : end + 1] != other[hashed : end + 1]:
            return ()
        mine.append(one[begin:end])
        theirs.append(other[begin:end])
        at = end
    return mine, theirs


def _difference(one: bytes, other: bytes, at: int) -> int:
    """Return the first place from ``at`` on where the two, of the same length, differ; or -1."""
    size = _BLOCK
    while at < len(one):
        if one[at : at + size] == other[at : at + size]:
            at += size
        elif size == 1:
            return at
        else:
            size //= 2
    return -1


def _other_rows(first: list[bytes], second: list[bytes]) -> tuple[set[bytes], ...]:
    mine, theirs = set(first), set(second)
    if len(mine) < len(first) or len(theirs) < len(second):
        return ()
    return mine - theirs, theirs - mine


def _rows(data: bytes) -> dict[str, str]:
    try:
        found: dict[str, str] = {entry["relpath"]: entry["md5"] for entry in json.loads(data)}
        relpaths, md5s = "\n".join(("", *found, "")), "".join(found.values())
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("it is no list of files") from error
    if not set(map(len, found.values())) <= {_MD5} or not _is_hex(md5s):
        raise ValueError("it names what is no hash")
    # Look closely only where any name looks odd: a directory has 20,000 of them.
    if any(odd in relpaths for odd in _ODD) and not all(map(_inside, found)):
        raise ValueError("it names a path outside the directory")
    return found


def _is_hex(text: str) -> bool:
    """Tell whether all of it is lower-case hexadecimal, without a regular expression's 5 ms."""
    try:
        return bytes.fromhex(text).hex() == text
    except ValueError:
        return False


def _inside(relpath: str) -> bool:
    parts = relpath.replace("\\", "/").split("/") if os.sep == "\\" else relpath.split("/")
    return "\0" not in relpath and all(
        part not in ("", ".", "..") and not is_reserved(part) for part in parts
    )
