"""What stands at a hook's place, and how ours is put there and taken away without a lost byte.

Nothing is ever overwritten but text that is ours to the last byte: a hook of somebody else is given
a block at its top (an sh script) or is moved aside in the same folder (anything else).
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import Literal

from mlflow_dvc_plugin.sync import scripts

Kind = Literal["absent", "ours", "block", "edited", "dvc", "sh", "other", "folder"]
_SH = ("ash", "bash", "dash", "ksh", "sh")
_NEW = 0o755


@dataclass(frozen=True)
class Hook:
    """A hook's place: the path, what stands there, its bytes and its mode.

    ``kept`` is the path of a hook that was moved aside for ours, whether or not it is there.
    """

    event: str
    path: str
    kind: Kind
    text: bytes = b""
    mode: int = _NEW

    @property
    def kept(self) -> str:
        """Return where a hook of somebody else stands while ours has its place."""
        return os.path.join(os.path.dirname(self.path), scripts.kept_name(self.event))


def look(folder: str, event: str) -> Hook:
    """Return what stands at the event's place in the hooks folder.

    The pre-commit framework moves a hook that it finds to ``<event>.legacy`` and runs it first:
    when that is one of ours, that is its place.
    """
    legacy = _look(os.path.join(folder, f"{event}.legacy"), event)
    return legacy if legacy.kind in ("ours", "block") else _look(os.path.join(folder, event), event)


def _look(path: str, event: str) -> Hook:
    try:
        info = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return Hook(event, path, "absent")
    mode = stat.S_IMODE(info.st_mode)
    if stat.S_ISDIR(info.st_mode):
        return Hook(event, path, "folder")
    if not stat.S_ISREG(info.st_mode):
        return Hook(event, path, "other", mode=mode)
    with open(path, "rb") as file:
        text = file.read()
    return Hook(event, path, _kind(text, event, runs=bool(mode & 0o111)), text, mode)


def _kind(text: bytes, event: str, runs: bool) -> Kind:
    if scripts.is_ours(text):
        return "ours"
    if scripts.without_block(text) is not None:
        return "block"
    if scripts.is_edited(text):
        return "edited"
    if scripts.is_dvc(text, event):
        return "dvc"
    # Git does not run a hook without the permission: with a block in it, ours would not run either.
    return "sh" if (runs or os.name == "nt") and _is_sh(text) else "other"


def _is_sh(text: bytes) -> bool:
    line, newline, _ = text.partition(b"\n")
    if not line.startswith(b"#!") or not newline or b"\r" in line or b"\0" in text:
        return False
    words = [word for word in line[2:].split() if not word.startswith(b"-")]
    names = [os.path.basename(word).decode("ascii", "replace") for word in words]
    while names and names[0] in ("busybox", "env"):
        del names[0]
    return bool(names) and names[0].removesuffix(".exe") in _SH


def write(path: str, text: bytes, mode: int) -> None:
    """Put the text at the path in one step: Git runs the old hook or the new one, never a half."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    fresh = f"{path}.{os.getpid()}.new"
    try:
        with open(fresh, "xb") as file:
            file.write(text)
        os.chmod(fresh, mode)
        os.replace(fresh, path)
    finally:
        if os.path.lexists(fresh):
            os.unlink(fresh)


def move_aside(hook: Hook) -> None:
    """Move what stands at the hook's place aside; the caller has looked that the name is free."""
    os.rename(hook.path, hook.kept)


def take_away(hook: Hook) -> None:
    """Take our part away from a hook, and put back what stood at its place before."""
    if hook.kind == "block":
        write(hook.path, scripts.without_block(hook.text) or b"", hook.mode)
    elif os.path.lexists(hook.kept):
        os.replace(hook.kept, hook.path)
    elif hook.kind == "ours":
        os.unlink(hook.path)
