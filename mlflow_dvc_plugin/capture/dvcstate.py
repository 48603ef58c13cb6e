"""Read the hashes that DVC itself has recorded for files of the workspace.

DVC keeps them in an sqlite file outside the repository (``dvc/repo/__init__.py``
``site_cache_dir``, ``dvc_data/hashfile/state.py``). It is a private format: whatever is not as
expected here means "not recorded", and a test compares this reader with DVC's own writer.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from collections.abc import Mapping
from contextlib import closing

PROTECTED = stat.S_IFREG | 0o444  # the mode of an object to which DVC makes links
_AT_ONCE = 500  # sqlite before 3.32 takes 999 parameters
_SECONDS = 2 * 1_000_000_000


def recorded(root: str, stats: Mapping[str, os.stat_result], site_cache: str) -> dict[str, str]:
    """Return path → md5 (DVC 3.x) for the absolute ``paths`` whose record still holds.

    DVC compares inode, mtime and size, so bytes changed by a program that put the mtime back would
    pass. A ctime that is not right behind the mtime betrays it (and a hard link, too: such files
    are read).
    """
    import sqlite3

    database = os.path.join(site_cache, "repo", _token(root), "hashes", "local", "cache.db")
    if not os.path.isfile(database):
        return {}
    wanted = [path for path, info in stats.items() if _trusted(info)]
    found: dict[str, str] = {}
    try:
        with closing(
            sqlite3.connect(f"file:{_quote(database)}?mode=ro", uri=True, timeout=0.5)
        ) as db:
            for start in range(0, len(wanted), _AT_ONCE):
                part = wanted[start : start + _AT_ONCE]
                marks = ", ".join("?" * len(part))
                query = f"SELECT key, value FROM Cache WHERE raw = 1 AND key IN ({marks})"  # noqa: S608
                for path, value in db.execute(query, part):
                    md5 = _md5(value, stats[path])
                    if md5 is not None:
                        found[path] = md5
    except (sqlite3.Error, UnicodeEncodeError):
        return {}
    return found


def site_cache_dir(configured: str | None) -> str | None:
    """Return the folder in which DVC keeps its state, or None where its place is not known.

    ``configured`` is ``core.site_cache_dir`` of DVC's configuration (``dvc/dirs.py``).
    """
    if folder := os.environ.get("DVC_SITE_CACHE_DIR") or configured:
        return folder
    return "/var/tmp/dvc" if sys.platform.startswith("linux") else None  # noqa: S108


def _trusted(info: os.stat_result) -> bool:
    return 0 <= info.st_ctime_ns - info.st_mtime_ns < _SECONDS


def _token(root: str) -> str:
    import getpass

    try:
        born = os.path.getmtime(os.path.join(root, ".dvc", "tmp", "btime"))
        key = str((root, None, born, getpass.getuser(), 3, 0))
    except (OSError, KeyError, ImportError):
        return "none"
    return hashlib.md5(key.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


def _md5(value: object, info: os.stat_result) -> str | None:
    try:
        entry = json.loads(value) if isinstance(value, str) else {}
        key = str(([info.st_ino, info.st_mtime, info.st_size],))
        token = str(int(hashlib.md5(key.encode(), usedforsecurity=False).hexdigest(), 16))
        if entry.get("version") != 1 or entry.get("checksum") != token:
            return None
        md5 = entry["hash_info"]["md5"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return md5 if isinstance(md5, str) and len(md5) == 32 else None


def _quote(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
