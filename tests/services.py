"""Real servers for the tests: PostgreSQL and an MLflow tracking server, on free loopback ports.

Each pytest-xdist worker that needs one has its own: nothing is shared, so nothing can be left
running by whoever ends last. `--dist loadfile` keeps the tests of a file on one worker.
"""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from stores import copy_store


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Start PostgreSQL and return the URI of an MLflow store in it."""
    initdb, postgres = _postgresql_program("initdb"), _postgresql_program("postgres")
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import OperationalError

    uid, gid = _unprivileged()
    # Not in pytest's own folder: that one is closed to the other user.
    directory = tempfile.mkdtemp(prefix="mlflow-dvc-postgresql-")
    try:
        os.chown(directory, uid, gid)
        port = free_port()
        as_user = {"user": uid, "group": gid, "extra_groups": []} if uid != os.getuid() else {}
        create = [initdb, "-D", f"{directory}/data", "-U", "mlflow", "-A", "trust", "--no-sync"]
        subprocess.run(
            [*create, "-E", "UTF8", "--locale=C"],
            cwd=directory, check=True, capture_output=True, **as_user,  # type: ignore[call-overload]
        )  # fmt: skip
        settings = [f"port={port}", "listen_addresses=127.0.0.1", "max_connections=300"]
        settings += [f"unix_socket_directories={directory}", "fsync=off"]
        command = [postgres, "-D", f"{directory}/data", *(f"-c{value}" for value in settings)]
        # No driver's name, as people write it: SQLAlchemy 2.0 takes psycopg2, 2.1 psycopg.
        uri = f"postgresql://mlflow@127.0.0.1:{port}"
        with running(command, directory, stop="SIGINT", uid=uid, gid=gid):
            engine = create_engine(f"{uri}/postgres", isolation_level="AUTOCOMMIT")
            with wait_for(engine.connect, OperationalError) as connection:
                connection.execute(text("CREATE DATABASE mlflow"))
            engine.dispose()
            SqlAlchemyStore(f"{uri}/mlflow", f"{directory}/artifacts").engine.dispose()
            yield f"{uri}/mlflow"
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def mlflow_server(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start `mlflow server` on a sqlite store and return its `http://` URI."""
    directory = tmp_path_factory.mktemp("mlflow-server")
    database = copy_store(sqlite_template, directory)
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", database]
    command += ["--default-artifact-root", f"{directory / 'artifacts'}"]
    # Without the first variable MLflow starts seven more processes of 250 MB each.
    env = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with running(command, str(directory), stop="SIGTERM", env={**os.environ, **env}):
        uri = f"http://127.0.0.1:{port}"
        wait_for(lambda: urllib.request.urlopen(uri + "/health", timeout=5).close(), OSError)
        yield uri


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _postgresql_program(name: str) -> str:
    versions = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    found = versions[-1] if versions else shutil.which(name)
    if not found:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    return found


def _unprivileged() -> tuple[int, int]:
    """Return the user and group to run PostgreSQL as: it refuses root."""
    if os.getuid() != 0:
        return os.getuid(), os.getgid()
    try:
        account = pwd.getpwnam("postgres")
    except KeyError:
        account = pwd.getpwnam("nobody")
    return account.pw_uid, account.pw_gid


@contextmanager
def running(
    command: list[str],
    directory: str,
    *,
    stop: str,
    uid: int | None = None,
    gid: int | None = None,
    env: dict[str, str] | None = None,
) -> Iterator[None]:
    """Keep ``command`` running in ``directory``; show the end of its log when the block raises."""
    owner = [str(os.getuid() if uid is None else uid), str(os.getgid() if gid is None else gid)]
    supervisor = [sys.executable, os.path.join(os.path.dirname(__file__), "supervise.py")]
    log = Path(directory, "server.log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*supervisor, stop, *owner, *command], stdin=subprocess.PIPE, stdout=output,
            stderr=output, cwd=directory, env=env, start_new_session=True,
        )  # fmt: skip
    assert process.stdin
    try:
        yield
    except Exception:
        sys.stderr.write(log.read_text(errors="replace")[-4000:])
        raise
    finally:
        process.stdin.close()
        process.wait(20)


def wait_for(attempt: Callable[[], Any], *errors: type[Exception], seconds: float = 90) -> Any:
    """Return what ``attempt`` returns as soon as it does not raise one of ``errors``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(*errors):
            return attempt()
        time.sleep(0.1)
    return attempt()
