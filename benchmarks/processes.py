"""Fresh Python processes, away from the user's settings, with the plugin installed or not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass

from benchmarks.repositories import SCRIPT
from benchmarks.timing import Samples, from_json

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_PACKAGE = "mlflow_dvc_plugin"
_GIT_CONFIG = "[user]\n    name = Bench\n    email = bench@example.org\n[gc]\n    auto = 0\n"
_DVC_CONFIG = "[core]\n    analytics = false\n    check_update = false\n"


def isolate(base: str) -> None:
    """Set this process's environment, which every other inherits, to settings below ``base``."""
    home = os.path.join(base, "home")
    os.makedirs(os.path.join(home, "dvc"), exist_ok=True)
    for name, text in (("gitconfig", _GIT_CONFIG), (os.path.join("dvc", "config"), _DVC_CONFIG)):
        with open(os.path.join(home, name), "w", encoding="ascii") as file:
            file.write(text)
    for name in list(os.environ):
        if name.startswith(("GIT_", "DVC_", "MLFLOW_", "XDG_", "PYTHON")):
            del os.environ[name]
    os.environ.update({
        "HOME": home,
        "GIT_CONFIG_GLOBAL": os.path.join(home, "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "DVC_NO_ANALYTICS": "1",
        "DVC_GLOBAL_CONFIG_DIR": os.path.join(home, "dvc"),
        "DVC_SYSTEM_CONFIG_DIR": os.path.join(home, "dvc-system"),
        "DVC_SITE_CACHE_DIR": os.path.join(home, "dvc-site-cache"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_TRACKING_URI": f"sqlite:///{os.path.join(base, 'mlflow.db')}",
    })  # fmt: skip


def probe(repository: str, name: str, rounds: int) -> Samples:
    """Run a probe of benchmarks/probes.py as the main script of the repository."""
    out = _python(repository, [SCRIPT, name, str(rounds)], {"PYTHONPATH": CHECKOUT})
    return from_json(json.loads(out))


@dataclass(frozen=True)
class Packages:
    """The installed packages as two folders of links: ``rest``, and ``ours`` as a wheel leaves it.

    With both on the path the plugin is installed, with ``rest`` alone it never was; everything
    else is the same, `.pth` files are read in neither case.
    """

    rest: str
    ours: str

    def run(self, folder: str, code: str, plugin: bool, *options: str) -> str:
        """Run ``python -c code``; return its standard output and error output."""
        path = os.pathsep.join([self.rest, self.ours] if plugin else [self.rest])
        return _python(folder, ["-S", *options, "-c", code], {"PYTHONPATH": path})


def hook_python(base: str, installed: Packages) -> str:
    """Return a Python in which the plugin is installed as from a wheel.

    The development environment finds it with code of its own that every start of Python runs.
    """
    folder = os.path.join(base, "python")
    python = os.path.join(folder, "bin", "python")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--clear", folder], check=True)
    site = sysconfig.get_path("purelib", vars={"base": folder, "platbase": folder})
    with open(os.path.join(site, "packages.pth"), "w", encoding="utf-8") as file:
        file.write(f"{installed.ours}\n{installed.rest}\n")
    return python


def packages(base: str) -> Packages:
    """Link what is installed for this Python into two folders below ``base``."""
    found = Packages(*(os.path.join(base, kind, "site-packages") for kind in ("rest", "ours")))
    for folder in (found.rest, found.ours):
        os.makedirs(folder, exist_ok=True)
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
    for site in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for name in os.listdir(site):
            if _PACKAGE not in name:
                os.symlink(os.path.join(site, name), os.path.join(found.rest, name))
            elif name.endswith(".dist-info"):
                os.symlink(os.path.join(site, name), os.path.join(found.ours, name))
    if not os.listdir(found.ours):
        raise SystemExit("the plugin is not installed here: run make bench")
    os.symlink(os.path.join(CHECKOUT, _PACKAGE), os.path.join(found.ours, _PACKAGE))
    return found


def _python(folder: str, arguments: list[str], variables: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env={**os.environ, **variables},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{arguments} in {folder} failed:\n{done.stderr}")
    return done.stdout + (done.stderr if "importtime" in arguments else "")
