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

# `multiprocessing` names the main script a second time; `main_script` knows it.
_MAIN = {"__main__", "__mp_main__"}
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
        for path in filter(None, (main_script(), notebook())):
            real = self._real(path)
            if real.startswith(start) and not self._is_installed(path, real):
                found.add(real)
        return sorted(path[len(start) :].replace(os.sep, "/") for path in found)

    def _look(self) -> None:
        for name in set(sys.modules) - self._modules - _MAIN:
            self._modules.add(name)
            path = getattr(sys.modules.get(name), "__file__", None)
            if isinstance(path, str) and not _PACKAGES.search(path):
                real = self._real(path)
                if not self._is_installed(path, real):
                    self._files.add(real)

    def _is_installed(self, path: str, real: str) -> bool:
        self._installed = self._installed or _installed_below()
        return path.startswith(self._installed) or real.startswith(self._installed)

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
    return _existing(path)


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
    return _existing(path)


def _existing(path: str) -> str | None:
    """Return the file's absolute path, None when there is no such file."""
    return os.path.abspath(path) if path and os.path.isfile(path) else None


def _installed_below() -> tuple[str, ...]:
    """Return the folders of installed code and of an environment's programs.

    Not the environment's own folder: it may be the project's. A bare ``/usr`` is none: people work
    below it.
    """
    folders = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    folders.update(site.getsitepackages() if hasattr(site, "getsitepackages") else ())
    if os.path.isfile(os.path.join(sys.prefix, "pyvenv.cfg")) or os.path.isdir(
        os.path.join(sys.prefix, "conda-meta")
    ):
        parts = ("bin", "lib", "lib64", "share", "Lib", "Scripts")
        folders.update(os.path.join(sys.prefix, part) for part in parts)
    named = {folder.rstrip(os.sep) + os.sep for folder in folders if folder}
    return tuple(named | {os.path.realpath(folder) + os.sep for folder in named})
