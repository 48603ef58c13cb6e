"""The code of a worktree that this process has loaded.

The main script, the notebook and the imported modules. Installed packages do not count, also when
their environment lies inside the worktree (``.venv/``).
"""

from __future__ import annotations

import os
import re
import sys

# `multiprocessing` names the main script a second time; `main_script` knows it.
_MAIN = {"__main__", "__mp_main__"}
_PACKAGES = re.compile(r"[\\/](?:site|dist)-packages[\\/]")


class LoadedFiles:
    """The files that this process has loaded; looks at each module once."""

    def __init__(self) -> None:
        self._modules: dict[str, int] = {}
        self._files: set[str] = set()
        self._folders: dict[str, str] = {}
        self._installed: tuple[str, ...] = ()

    def inside(self, toplevel: str) -> list[str]:
        """Return the loaded files below ``toplevel``, relative to it, POSIX, sorted."""
        self._look()
        start = toplevel.rstrip(os.sep) + os.sep
        found = set(self._files)
        for path in filter(None, (main_script(), notebook())):
            found.update(self._own(path))
        return sorted(
            path[len(start) :].replace(os.sep, "/") for path in found if path.startswith(start)
        )

    def _look(self) -> None:
        """Look at the modules that are new; one may have been loaded anew from elsewhere."""
        for name, module in list(sys.modules.items()):
            if self._modules.get(name) != id(module) and name not in _MAIN:
                self._modules[name] = id(module)
                path = _file_of(module)
                if path is not None and not _PACKAGES.search(path):
                    self._files.update(self._own(path))

    def _own(self, path: str) -> set[str]:
        """Return the file, and the one it links to, unless they are installed code.

        For a module inside an archive the archive; nothing for a name that is no file.
        """
        while not os.path.isfile(path):
            parent = os.path.dirname(path)
            if parent == path or os.path.isdir(parent):
                return set()
            path = parent
        real = self._real(path)
        if self._is_installed(path, real):
            return set()
        return {real, os.path.realpath(real)} if os.path.islink(real) else {real}

    def _is_installed(self, path: str, real: str) -> bool:
        self._installed = self._installed or _installed_below()
        return path.startswith(self._installed) or real.startswith(self._installed)

    def _real(self, path: str) -> str:
        """Resolve the folder's symlinks (each folder once); the file itself may be a link."""
        folder, name = os.path.split(os.path.abspath(path))
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        return os.path.join(self._folders[folder], name)


def _file_of(module: object) -> str | None:
    """Return the absolute path that a module names, without asking the module to do anything.

    A lazy module would be loaded by an attribute access, and any may raise what it likes.
    """
    try:
        path = object.__getattribute__(module, "__dict__").get("__file__")
    except (AttributeError, TypeError):
        return None
    return path if isinstance(path, str) and os.path.isabs(path) and "\0" not in path else None


def main_script() -> str | None:
    """Return the absolute path of the script that this process runs, None when there is none.

    None for ``python -c``, standard input, an interactive shell and a notebook kernel's launcher
    is a path like any other: the caller asks whether it belongs to a worktree.
    """
    path = vars(sys.modules["__main__"]).get("__file__") if "__main__" in sys.modules else None
    if not isinstance(path, str):
        path = next(iter(getattr(sys, "argv", ())), "")
    return _existing(path)


def notebook() -> str | None:
    """Return the notebook's file where the front end tells it (Jupyter Server, VS Code)."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    if shell is None:
        return None
    named = getattr(shell(), "user_ns", {}).get("__vsc_ipynb_file__")
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
    import site
    import sysconfig

    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = {sysconfig.get_path(name) for name in names}
    folders.update(site.getsitepackages() if hasattr(site, "getsitepackages") else ())
    if os.path.isfile(os.path.join(sys.prefix, "pyvenv.cfg")) or os.path.isdir(
        os.path.join(sys.prefix, "conda-meta")
    ):
        folders.add(sysconfig.get_path("scripts"))
    named = {folder.rstrip(os.sep) + os.sep for folder in folders if folder}
    return tuple(named | {os.path.realpath(folder) + os.sep for folder in named})
