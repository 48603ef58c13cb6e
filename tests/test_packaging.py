"""What a user installs: the wheel and the sdist, in a full and in a lean environment."""

from __future__ import annotations

import configparser
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from conftest import CHECKOUT, PythonIn
from tagrules import ours

TAGS = """
import json, mlflow
with mlflow.start_run() as run:
    pass
print(json.dumps(mlflow.get_run(run.info.run_id).data.tags))
"""


def sources() -> Iterator[str]:
    """Yield the files of the checkout that are, or could be, committed."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, check=True)
    for name in os.fsdecode(done.stdout).split("\0"):
        if name and (CHECKOUT / name).is_file():
            yield name


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist from a copy of the checkout, the wheel from the sdist; return the folder."""
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("dist")
    for name in sources():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, copy / name)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for PYTHONPATH that holds what the wheel installs."""
    folder = tmp_path_factory.mktemp("unpacked")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


@pytest.fixture(scope="session")
def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(CHECKOUT / "setup.cfg")
    return parser


def test_the_wheel_holds_the_package_and_the_hooks_and_nothing_else(wheel: Path) -> None:
    expected = {name for name in sources() if name.startswith("mlflow_dvc_plugin/")}
    expected |= {f"mlflow_dvc_plugin/{name}" for name in sources() if name.startswith("hooks/")}
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert "mlflow_dvc_plugin/py.typed" in names
    assert "mlflow_dvc_plugin/hooks/__init__.py" in names


def test_the_sdist_holds_what_builds_the_wheel(dist: Path) -> None:
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {name for name in sources() if name.startswith(("mlflow_dvc_plugin/", "hooks/"))}
    assert needed | {"setup.cfg", "pyproject.toml", "README.md"} <= names


def test_the_version_stands_in_one_place(wheel: Path, setup: configparser.ConfigParser) -> None:
    version = setup["metadata"]["version"]
    assert wheel.name == f"mlflow_dvc_plugin-{version}-py3-none-any.whl"
    assert metadata.version("mlflow-dvc-plugin") == version


def test_mlflow_and_the_shell_find_their_entry_points(unpacked: Path) -> None:
    (installed,) = metadata.distributions(path=[str(unpacked)])
    points = {(point.group, point.name, point.value) for point in installed.entry_points}
    provider = (
        "mlflow.run_context_provider",
        "mlflow-dvc",
        "mlflow_dvc_plugin.context:DvcRunContext",
    )
    assert {provider, ("console_scripts", "mlflow-dvc", "mlflow_dvc_plugin.cli:run")} <= points


@pytest.mark.parametrize("how", ["editable", "wheel"])
def test_hooks_is_part_of_the_package_and_no_package_of_its_own(
    how: str, unpacked: Path, tmp_path: Path, python_in: PythonIn
) -> None:
    where = (
        "import importlib.resources, importlib.util, mlflow_dvc_plugin.hooks as hooks\n"
        "print(importlib.util.find_spec('hooks'))\n"
        "print(importlib.resources.files(hooks).joinpath('__init__.py').is_file(), hooks.__file__)"
    )
    env = {"PYTHONPATH": str(unpacked)} if how == "wheel" else {}
    nothing, here = python_in(tmp_path / "empty", where, **env).splitlines()
    root = unpacked / "mlflow_dvc_plugin" if how == "wheel" else CHECKOUT
    assert nothing == "None"
    assert here == f"True {root / 'hooks/__init__.py'}"


# ---- mlflow-skinny, and nothing of ours but the package itself ----


@pytest.fixture(scope="session")
def lean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the `bin` of an environment with `mlflow-skinny` and our wheel, without dvc."""
    folder = tmp_path_factory.mktemp("lean")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = str(folder / "bin/python")
    real = {**os.environ, "HOME": os.environ["TESTS_REAL_HOME"]}
    real = {name: value for name, value in real.items() if not name.startswith("XDG_")}
    skinny = f"mlflow-skinny=={metadata.version('mlflow')}"
    uv = os.path.join(os.path.dirname(sys.executable), "uv")
    if os.path.exists(uv):
        install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python]
    else:
        install = [python, "-m", "pip", "install", "--quiet"]
    for what in ([skinny], ["--no-deps", str(wheel)]):
        done = subprocess.run(
            [*install, *what], env=real, capture_output=True, text=True, check=False
        )
        if done.returncode and "CI" not in os.environ:
            pytest.skip(f"{skinny} cannot be downloaded: {done.stderr}")
        assert done.returncode == 0, done.stderr
    return folder / "bin"


def run_lean(lean: Path, *command: str) -> subprocess.CompletedProcess[str]:
    path = f"{lean}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [lean / command[0], *command[1:]], env={**os.environ, "PATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_without_dvc_a_run_carries_the_same_tags(
    lean: Path, repo: Path, file_store: str, python_in: PythonIn
) -> None:
    missing = run_lean(lean, "python", "-c", "import dvc")
    assert "No module named 'dvc'" in missing.stderr
    for content in ("", "dirty\n"):
        if content:
            (repo / "train.py").write_text(content)
            (repo / "data/train.csv").write_text(content)
        done = run_lean(lean, "python", "-c", TAGS)
        assert done.returncode == 0, done.stderr
        assert "warn" not in done.stderr.lower(), done.stderr
        tags = ours(json.loads(done.stdout))
        assert tags["dvc.status"] == ("modified" if content else "clean")
        assert tags == ours(json.loads(python_in(repo, TAGS)))


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["--version", "--help", "status", "doctor", "demo"])
def test_without_dvc_a_command_works_or_names_the_install_line(
    lean: Path, verb: str, repo: Path, file_store: str
) -> None:
    done = run_lean(lean, "mlflow-dvc", *verb.split())
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == 0 or "pip install" in done.stdout + done.stderr, done
