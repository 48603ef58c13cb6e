"""Read the few settings of DVC's configuration that a capture needs, without importing dvc.

Levels and places are DVC's (``dvc/config.py``, ``dvc/dirs.py``): system < global < ``.dvc/config``
< ``.dvc/config.local``; option and remote names are lower-cased.
"""

from __future__ import annotations

import configparser
import os
import sys
from typing import NamedTuple

_LINKS = ("reflink", "copy")


class DvcConfig(NamedTuple):
    """``remote`` is the default remote's URL as configured, credentials still in it.

    ``links`` are the ways to take data from the cache, the preferred one first (``cache.type``).
    """

    remote: str | None = None
    cache_dir: str | None = None
    links: tuple[str, ...] = _LINKS
    site_cache_dir: str | None = None


def config_files(dvc_dir: str) -> list[str]:
    """Return the files DVC reads its configuration from, weakest first."""
    return [
        os.path.join(os.environ.get("DVC_SYSTEM_CONFIG_DIR") or _system_dir(), "config"),
        os.path.join(os.environ.get("DVC_GLOBAL_CONFIG_DIR") or _global_dir(), "config"),
        os.path.join(dvc_dir, "config"),
        os.path.join(dvc_dir, "config.local"),
    ]


def read_config(dvc_dir: str) -> DvcConfig:
    """Merge DVC's configuration files; a file that cannot be parsed counts as absent."""
    merged: dict[str, dict[str, str]] = {}
    for path in config_files(dvc_dir):
        for section, values in _parse(path).items():
            if section == "cache" and "dir" in values:
                # A relative folder is relative to the file that names it.
                values["dir"] = os.path.join(os.path.dirname(path), values["dir"])
            merged.setdefault(section, {}).update(values)
    core = merged.get("core", {})
    default = core.get("remote", "").lower()
    return DvcConfig(
        remote=merged.get(f'remote "{default}"', {}).get("url") or None,
        cache_dir=merged.get("cache", {}).get("dir") or None,
        links=_links(merged.get("cache", {}).get("type", "")),
        site_cache_dir=core.get("site_cache_dir") or None,
    )


def _links(value: str) -> tuple[str, ...]:
    given = tuple(part.strip().lower() for part in value.split(",") if part.strip())
    return given or _LINKS


def _parse(path: str) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(
        interpolation=None, strict=False, delimiters=("=",), comment_prefixes=("#",),
        default_section="\0", allow_no_value=True,
    )  # fmt: skip
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(line.lstrip() for line in file)  # DVC indents the options
    except (OSError, UnicodeDecodeError, configparser.Error):
        return {}
    return {
        section.strip("'").lower(): {key: _unquote(value) for key, value in parser.items(section)}
        for section in parser.sections()
    }


def _unquote(value: str | None) -> str:
    text = (value or "").strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    return text


def _system_dir() -> str:
    if sys.platform == "win32":
        return os.path.join(os.environ.get("PROGRAMDATA") or "C:\\ProgramData", "iterative", "dvc")
    if sys.platform == "darwin":
        return "/Library/Application Support/dvc"
    return os.path.join((os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")[0], "dvc")


def _global_dir() -> str:
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~\\AppData\\Local")
        return os.path.join(local, "iterative", "dvc")
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Application Support/dvc")
    return os.path.join(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"), "dvc")
