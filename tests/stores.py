"""MLflow's tracking stores for the tests: sqlite and files here, the servers in `services`."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

STORES = ("tracking_sqlite", "mlflow_server", "postgresql", "file_store")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty sqlite store: MLflow takes 1.6 s to make one, a copy takes none."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    folder = tmp_path_factory.mktemp("sqlite-template")
    SqlAlchemyStore(f"sqlite:///{folder}/mlflow.db", str(folder)).engine.dispose()
    return folder / "mlflow.db"


def copy_store(template: Path, folder: Path) -> str:
    """Copy an empty sqlite store into ``folder``, artifacts beside it; return its URI."""
    folder.mkdir(exist_ok=True)
    shutil.copy(template, folder / "mlflow.db")
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
        database.execute("UPDATE experiments SET artifact_location = ?", (f"{folder}/artifacts/0",))
    return f"sqlite:///{folder}/mlflow.db"


@pytest.fixture
def use_store(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Make a URI MLflow's store, for this process and the ones it starts."""

    def use(uri: str) -> str:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        if "mlflow" in sys.modules:
            sys.modules["mlflow"].set_tracking_uri(None)
        return uri

    return use


@pytest.fixture
def tracking_sqlite(sqlite_template: Path, tmp_path: Path, use_store: Callable[[str], str]) -> str:
    """Make an empty sqlite store of the test's own MLflow's store, and return its URI."""
    return use_store(copy_store(sqlite_template, tmp_path / "mlflow"))


@pytest.fixture
def file_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use_store: Callable[[str], str]
) -> str:
    """Make a folder MLflow's store, which newer versions allow on request only."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return use_store((tmp_path / "mlruns").as_uri())


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, use_store: Callable[[str], str]) -> str:
    """Run the test on each kind of store MLflow has; return the fixture's name."""
    use_store(request.getfixturevalue(request.param))
    return str(request.param)
