"""Isolation from the user's settings, and fixtures made of real Git, DVC and MLflow."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from tracing import unmeasured

pytest_plugins = (
    "stores", "services", "hostile", "s3", "s3proxy", "s3users", "versions", "mounts",
    "snapshotting", "slowfirst", "cutline",
)  # fmt: skip

CHECKOUT = Path(__file__).resolve().parent.parent
GIT_CONFIG = """\
[user]
    name = Test
    email = test@example.org
[init]
    defaultBranch = main
[protocol "file"]
    allow = always
[commit]
    gpgSign = false
"""
DVC_CONFIG = """\
[core]
    analytics = false
    check_update = false
"""


class Git(Protocol):
    """Run `git *args` and return its output without the last newline; raise when it fails."""

    def __call__(
        self, *args: str | bytes, cwd: Path | str | None = None, stdin: bytes = b""
    ) -> str: ...


class Dvc(Protocol):
    """Run `dvc *args` and return what it prints on standard output; raise when it fails."""

    def __call__(self, *args: str, cwd: Path | str | None = None) -> str: ...


class PythonIn(Protocol):
    """Run `python -c code` in a folder, with these variables; return its standard output."""

    def __call__(self, folder: Path, code: str, *args: str, **env: str) -> str: ...


def pytest_configure(config: pytest.Config) -> None:
    """Take the user's settings away before a test module imports MLflow or DVC."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs
    if "PYTEST_XDIST_WORKER" in os.environ:
        return  # its environment is the one made here by the process that started it
    os.environ.setdefault("TESTS_REAL_HOME", os.path.expanduser("~"))
    home = tempfile.mkdtemp(prefix="mlflow-dvc-tests-")
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    os.environ.update(isolated_environment(Path(home)))
    for name in _foreign_variables():
        del os.environ[name]


def isolated_environment(home: Path) -> dict[str, str]:
    """Write settings for Git and DVC into ``home`` and return the variables that name them."""
    (home / "gitconfig").write_text(GIT_CONFIG)
    (home / "dvc-global").mkdir()
    (home / "dvc-global/config").write_text(DVC_CONFIG)
    return _variables(home)


def _variables(home: Path) -> dict[str, str]:
    """Return the variables that keep Git, DVC, MLflow and Jupyter inside ``home``."""
    return {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_STATE_HOME": str(home / ".local/state"),
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(home / "dvc-site-cache"),
        "DVC_GLOBAL_CONFIG_DIR": str(home / "dvc-global"),
        "DVC_SYSTEM_CONFIG_DIR": str(home / "dvc-system"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_TRACKING_URI": f"sqlite:///{home / 'mlflow.db'}",
    }


def _foreign_variables() -> list[str]:
    ours = _variables(Path("home"))
    foreign = ("GIT_", "DVC_", "MLFLOW_", "XDG_")
    return [name for name in os.environ if name.startswith(foreign) and name not in ours]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Make reports of undecodable file names fit to send: they stop a pytest-xdist worker."""
    report = yield
    report.sections = [(title, _printable(text)) for title, text in report.sections]
    if report.longreprtext != _printable(report.longreprtext):
        report.longrepr = _printable(report.longreprtext)
    return report


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give every test its own home, its own settings and an empty working directory."""
    for name in _foreign_variables():
        monkeypatch.delenv(name)
    for folder in ("home", "empty"):
        (tmp_path / folder).mkdir()
    for name, value in isolated_environment(tmp_path / "home").items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path / "empty")
    yield
    fluent: Any = sys.modules.get("mlflow.tracking.fluent")
    if fluent:
        while fluent.active_run():
            fluent.end_run()
        fluent._active_experiment_id = None
        sys.modules["mlflow"].set_tracking_uri(None)


@pytest.fixture(autouse=True, scope="session")
def _nothing_outside_is_touched() -> Iterator[None]:
    """Fail when the user's Git settings or the checkout differ after the tests."""
    settings = Path(os.environ["TESTS_REAL_HOME"], ".gitconfig")
    before = _digest(settings)
    # Only there: in a checkout that somebody is working in, a difference would say nothing.
    status = _checkout_status() if "CI" in os.environ else ""
    yield
    assert _digest(settings) == before, "a test changed the user's ~/.gitconfig"
    if "CI" in os.environ:
        assert _checkout_status() == status, "a test wrote into the checkout"


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else "absent"


def _checkout_status() -> str:
    command = ["git", "status", "--porcelain", "--untracked-files=all"]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False).stdout


# ---- programs ----


@pytest.fixture(scope="session")
def git() -> Git:
    def run(*args: str | bytes, cwd: Path | str | None = None, stdin: bytes = b"") -> str:
        done = subprocess.run(
            ["git", *args], cwd=cwd, input=stdin, capture_output=True, check=False
        )
        assert done.returncode == 0, f"git {args}: {os.fsdecode(done.stderr)}"
        return os.fsdecode(done.stdout).removesuffix("\n")

    return run


@pytest.fixture(scope="session")
def dvc() -> Dvc:
    """Run DVC inside this process: 0.1 s a command, where a process of its own takes 0.6 s."""

    def run(*args: str, cwd: Path | str | None = None) -> str:
        from dvc.cli import main

        before, output = os.getcwd(), io.StringIO()
        try:
            os.chdir(cwd or before)
            with contextlib.redirect_stdout(output), unmeasured():
                code = main(list(args))
        finally:
            os.chdir(before)
        assert code == 0, f"dvc {args}: exit code {code}: {output.getvalue()}"
        return output.getvalue()

    return run


@pytest.fixture(scope="session")
def python_in() -> PythonIn:
    def run(folder: Path, code: str, *args: str, **env: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code, *args], cwd=folder, env={**os.environ, **env},
            stdin=subprocess.DEVNULL, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout.decode(errors="surrogateescape")

    return run


# ---- projects ----


@pytest.fixture(scope="session")
def project_template(tmp_path_factory: pytest.TempPathFactory, git: Git, dvc: Dvc) -> Path:
    folder = tmp_path_factory.mktemp("template")
    project = folder / "project"
    (project / "data/images").mkdir(parents=True)
    (project / "data/train.csv").write_text("x,y\n1,2\n3,4\n")
    for name in ("cat", "dog", "fox"):
        (project / f"data/images/{name}.png").write_text(f"picture of a {name}\n")
    (project / "train.py").write_text(
        "import mlflow\n\nwith mlflow.start_run():\n    mlflow.log_metric('m', 1)\n"
    )
    git("init", "--quiet", cwd=project)
    dvc("init", "--quiet", cwd=project)
    dvc("remote", "add", "--quiet", "--default", "local", "../remote", cwd=project)
    dvc("add", "--quiet", "data/train.csv", "data/images", cwd=project)
    dvc("push", "--quiet", cwd=project)
    git("add", "--all", cwd=project)
    git("commit", "--quiet", "--message", "first", cwd=project)
    shutil.rmtree(project / ".dvc/tmp")
    return folder


@pytest.fixture
def repo(project_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a clean Git and DVC project of the test's own, and make it the working directory.

    It has one commit on `main`, `data/train.csv`, the directory `data/images` with three files,
    `train.py`, and a default DVC remote `local` (../remote) that holds the data.
    """
    shutil.copytree(project_template, tmp_path, symlinks=True, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"
