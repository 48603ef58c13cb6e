"""The code of a worktree that this process has loaded.

The main script, the notebook and the imported modules. Installed packages do not count, also when
their environment lies inside the worktree (``.venv/``).
"""

from __future__ import annotations

import os
import re
import site
import sys
import sysconfig

_PACKAGES = re.compile(r"[\\/](?:site|dist)-packages[\\/]")


class LoadedFiles:
    """The files that this process has loaded; looks at each module once."""

    def __init__(self) -> None:
        self._modules: set[str] = set()
        self._files: set[str] = set()
        self._folders: dict[str, str] = {}
        self._installed: tuple[str, ...] = ()

    def inside(self, toplevel: str) -> list[str]:
        """Return the loaded files below ``toplevel``, relative to it, POSIX, sorted."""
        self._look()
        start = toplevel.rstrip(os.sep) + os.sep
        found = {path for path in self._files if path.startswith(start)}
        for path in (main_script(), notebook()):
            if path and self._real(path).startswith(start):
                found.add(self._real(path))
        return sorted(path[len(start) :].replace(os.sep, "/") for path in found)

    def _look(self) -> None:
        installed = self._installed = self._installed or _installed_below()
        for name in set(sys.modules) - self._modules - {"__main__"}:
            self._modules.add(name)
            path = getattr(sys.modules.get(name), "__file__", None)
            if not isinstance(path, str) or path.startswith(installed) or _PACKAGES.search(path):
                continue
            real = self._real(path)
            if not real.startswith(installed):
                self._files.add(real)

    def _real(self, path: str) -> str:
        """Resolve the folder's symlinks (each folder once); the file itself may be a link."""
        folder, name = os.path.split(os.path.abspath(path))
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        return os.path.join(self._folders[folder], name)


def main_script() -> str | None:
    """Return the absolute path of the script that this process runs, None when there is none.

    None for ``python -c``, standard input, an interactive shell and a notebook kernel's launcher
    is a path like any other: the caller asks whether it belongs to a worktree.
    """
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    if not isinstance(path, str):
        path = sys.argv[0] if sys.argv else ""
    path = os.path.abspath(path) if path else ""
    return path if path and os.path.isfile(path) else None


def notebook() -> str | None:
    """Return the notebook's file where the front end tells it (Jupyter Server, VS Code)."""
    shell = sys.modules.get("IPython")
    if shell is None:
        return None
    running = shell.get_ipython()
    named = getattr(running, "user_ns", {}).get("__vsc_ipynb_file__")
    path = named or os.environ.get("JPY_SESSION_NAME") or os.environ.get("IPYNB_FILE")
    if not isinstance(path, str) or not path.endswith(".ipynb"):
        return None
    path = os.path.abspath(path)
    return path if os.path.isfile(path) else None


def _installed_below() -> tuple[str, ...]:
    """Return the folders of installed code. A bare ``/usr`` is not one: people work below it."""
    folders = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    if os.path.isfile(os.path.join(sys.prefix, "pyvenv.cfg")) or os.path.isdir(
        os.path.join(sys.prefix, "conda-meta")
    ):
        folders.add(sys.prefix)
    folders.update(site.getsitepackages() if hasattr(site, "getsitepackages") else ())
    return tuple(folder.rstrip(os.sep) + os.sep for folder in folders if folder)
