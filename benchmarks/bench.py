"""What the cases of one run share."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks import repositories
from benchmarks.processes import Packages, hook_python, packages

_SIZES = {
    "small": repositories.SMALL,
    "stages": repositories.STAGES,
    "folder": repositories.FOLDER,
    "git": repositories.GIT,
    "single": repositories.SINGLE,
}


@dataclass
class Bench:
    """``base`` is the folder everything is built in; ``quick`` means a sixth of the rounds."""

    base: str
    quick: bool = False
    _packages: list[Packages] = field(default_factory=list)
    _python: list[str] = field(default_factory=list)

    @property
    def packages(self) -> Packages:
        """Return the installed packages, with and without the plugin."""
        if not self._packages:
            self._packages.append(packages(self.base))
        return self._packages[0]

    @property
    def python(self) -> str:
        """Return the Python of the hooks, with the plugin as a user installs it."""
        if not self._python:
            self._python.append(hook_python(self.base, self.packages))
        return self._python[0]

    def rounds(self, count: int, least: int = 3) -> int:
        """Return how many rounds to do of ``count``."""
        return max(least, count // 6) if self.quick else count

    def repository(self, name: str) -> str:
        """Return the path of a generated repository."""
        return repositories.repository(self.base, name, _SIZES[name])
