"""The text of the installed hooks: made from the files in ``hooks/``, and recognised again.

An installed text states its version and a digest of itself. Whatever carries a digest that holds
is ours to the last byte, of this version or an older one; anything else belongs to somebody. All
text is bytes: a path or a foreign hook need not be UTF-8.
"""

from __future__ import annotations

import hashlib
import os
import re
from importlib import resources

_ID = re.compile(rb"# mlflow-dvc hook ([a-z-]+) (\d+)(?: ([0-9a-f]{16}))?\n")
_PYTHON = re.compile(rb"^python='((?:[^'\n]|'\\'')*)'$", re.MULTILINE)
_BEGIN = b"# >>> "
_END = b"# <<< mlflow-dvc\n"
_STDIN = ("post-rewrite", "pre-push")  # what Git tells these on standard input, both have to read


def kept_name(event: str) -> str:
    """Return the name that a hook of somebody else gets when it has to be moved aside."""
    return f"{event}.before-mlflow-dvc"


def script(event: str, python: str, calls_kept: bool = False) -> bytes:
    """Return a hook file of ours; with ``calls_kept`` the hook that was moved aside runs first."""
    header, body = _template(event, python)
    if calls_kept:
        kept = b'"${0%/*}/' + kept_name(event).encode() + b'"'
        body = _after(event, b"! [ -x " + kept + b" ] || " + kept + b' "$@"', body)
    return b"#!/bin/sh\n" + _signed(header, body)


def with_block(event: str, python: str, foreign: bytes) -> bytes:
    """Return a foreign sh hook with our part in a block at its top.

    The block starts the same file again to run the foreign part first: it keeps its name, its
    place, its interpreter and its arguments, and may end wherever it likes. The variable that
    tells the two apart is gone before the foreign part begins: Git commands in it have hooks too.
    """
    header, body = _template(event, python)
    body = (
        b'if [ -z "${mlflow_dvc_chained-}" ]; then\nset +eu\n'
        + _after(event, b'mlflow_dvc_chained=1 "$0" "$@"', body)
        + b"fi\nunset mlflow_dvc_chained\n"
    )
    shebang, newline, rest = foreign.partition(b"\n")
    return shebang + newline + _BEGIN + _signed(header, body) + _END + rest


def without_block(text: bytes) -> bytes | None:
    """Return the foreign hook as it was before; None when it holds no block, or a changed one."""
    found = _block(text)
    if found is None:
        return None
    start, end = found
    return (
        text[:start] + text[end:] if _holds(text[start + len(_BEGIN) : end - len(_END)]) else None
    )


def is_ours(text: bytes) -> bool:
    """Tell whether all of a hook's text is ours, of whatever version."""
    shebang = b"#!/bin/sh\n"
    return text.startswith(shebang) and _holds(text[len(shebang) :])


def is_edited(text: bytes) -> bool:
    """Tell whether a hook holds a text of ours that somebody has changed."""
    return bool(_ID.search(text)) and not is_ours(text) and without_block(text) is None


def calls_kept(text: bytes, event: str) -> bool:
    """Tell whether a hook of ours runs the one that was moved aside."""
    return b"/" + kept_name(event).encode() in text


def python_in(text: bytes) -> str:
    """Return the interpreter's path that was written into an installed hook, "" for none."""
    found = _PYTHON.search(text)
    return os.fsdecode(found[1].replace(b"'\\''", b"'")) if found else ""


def is_dvc(text: bytes, event: str) -> bool:
    """Tell whether this is the hook that ``dvc install`` writes (scmrepo, ``Git.install_hook``)."""
    line = rb'#!\S*sh\s+exec dvc git-hook %s "?\$@"?\s*' % event.encode()
    return bool(re.fullmatch(line, text))


def _template(event: str, python: str) -> tuple[bytes, bytes]:
    """Return the id line of ``hooks/<event>``, and the rest with the interpreter filled in."""
    text = resources.files("mlflow_dvc_plugin.hooks").joinpath(event).read_bytes()
    _, header, body = text.replace(b"\r\n", b"\n").split(b"\n", 2)
    return header, body.replace(b"python=''\n", b"python=" + _quoted(python) + b"\n", 1)


def _quoted(path: str) -> bytes:
    """Return the path as one word of sh; none at all when it holds a line break."""
    if "\n" in path or "\r" in path:
        return b"''"
    return b"'" + os.fsencode(path).replace(b"'", b"'\\''") + b"'"


def _after(event: str, foreign: bytes, ours: bytes) -> bytes:
    """Return sh that runs the foreign hook and then ours, and ends with the status Git shall see.

    Standard input is held in a variable where both need it; the slash keeps its last line breaks.
    """
    feed = b"printf '%s' \"$input\" 2>/dev/null | " if event in _STDIN else b""
    lines = [b"input=$(cat && echo /) && input=${input%/}"] if feed else []
    lines += [feed + b"{ " + foreign + b"; }", b"first=$?"]
    if event.startswith("pre-"):
        lines += [b'[ "$first" -eq 0 ] || exit "$first"']
    lines += [feed + b"(", ours.rstrip(b"\n"), b")", b"ours=$?"]
    lines += [b'[ "$first" -ne 0 ] || first=$ours', b'exit "$first"']
    return b"\n".join(lines) + b"\n"


def _signed(header: bytes, body: bytes) -> bytes:
    return header + b" " + _digest(header, body) + b"\n" + body


def _digest(header: bytes, body: bytes) -> bytes:
    return hashlib.sha256(header + b"\n" + body).hexdigest()[:16].encode()


def _holds(text: bytes) -> bool:
    """Tell whether the text, from its id line on, is what its digest was made of."""
    found = _ID.match(text)
    if not found or found[3] is None:
        return False
    header = text[: found.start(3) - 1]
    return _digest(header, text[found.end() :]) == found[3]


def _block(text: bytes) -> tuple[int, int] | None:
    """Return where our block begins and ends, marks included."""
    start = text.find(_BEGIN + b"# mlflow-dvc hook ")
    end = text.find(_END, start)
    return None if start < 0 or end < 0 else (start, end + len(_END))
