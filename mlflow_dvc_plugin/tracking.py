"""The tracking store that runs are kept in. Asking about it never creates or changes one."""

from __future__ import annotations

import os
import threading
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.tags import public_url

PATIENCE = 10.0  # seconds for the tracking server to answer at all
_SQL = ("postgresql", "mysql", "mssql", "oracle")


def tracking_uri() -> str:
    """Return the URI that ``mlflow.start_run()`` would use here."""
    import mlflow

    uri: str = mlflow.get_tracking_uri()
    return uri


def shown(uri: str) -> str:
    """Return the URI without a password, for messages."""
    return public_url(uri) if "@" in uri or "?" in uri else uri


def local_path(uri: str) -> str | None:
    """Return the absolute path of an sqlite file or a file store, None for everything else."""
    if uri.startswith("sqlite:///"):
        path = uri[len("sqlite:///") :].partition("?")[0]
        if path in ("", ":memory:"):
            return None
        plain = os.path.abspath(path)
        return plain if os.path.exists(plain) else os.path.abspath(unquote(path))
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return os.path.abspath(url2pathname(parts.path))
    # "C:\\mlruns" has a drive where a URI has its scheme.
    return os.path.abspath(uri) if len(parts.scheme) < 2 and uri != "databricks" else None


def require(uri: str, seconds: float = PATIENCE) -> None:
    """Return when the store exists and answers within ``seconds``; raise MlflowDvcError if not.

    MLflow itself would create a local store that is not there, and try for minutes or longer to
    reach a server that does not answer.
    """
    path = local_path(uri)
    if path is not None:
        if not os.path.exists(path):
            raise MlflowDvcError(
                f"there is no tracking store at {path}",
                "export MLFLOW_TRACKING_URI=<where the runs are>, or go to the folder they were "
                "started in",
            )
        if os.path.isfile(path) and not _is_database(path):  # MLflow would fill an empty one
            raise MlflowDvcError(
                f"{path} is no tracking store: it is no sqlite database",
                "export MLFLOW_TRACKING_URI=<where the runs are>",
            )
        return
    failed: list[BaseException] = []

    def ask() -> None:
        try:
            _ask(uri, seconds)
        except Exception as error:  # noqa: BLE001 - every store has its own; raised again below
            failed.append(error)

    thread = threading.Thread(target=ask, name="mlflow-dvc-ask", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise _unreachable(uri, f"no answer within {seconds:g} s")
    if failed:
        raise _unreachable(uri, one_line(failed[0], uri))


def _is_database(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(16) == b"SQLite format 3\0"
    except OSError:
        return True  # MLflow says what is wrong


def store_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions with which MLflow's stores fail."""
    from mlflow.exceptions import MlflowException

    try:
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError:  # mlflow-skinny has no SQL store
        return MlflowException, OSError
    return MlflowException, OSError, SQLAlchemyError


def one_line(error: BaseException, uri: str = "") -> str:
    """Return the error's text in one line that a person reads, without the URI's password."""
    text = " ".join(str(error).split()) or type(error).__name__
    for known in ("Connection refused", "Connection reset", "Name or service not known"):
        if known in text:
            return known.lower()
    secret = urlsplit(uri).netloc.rpartition("@")[0]
    if secret:
        text = text.replace(secret + "@", "")
    return text if len(text) <= 300 else text[:300] + "..."


def _ask(uri: str, seconds: float) -> None:
    if uri.startswith(_SQL):
        # Not MLflow's own store: that would upgrade the tables of an older MLflow.
        import sqlalchemy

        with sqlalchemy.create_engine(uri).connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1"))
        return
    import mlflow

    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(max(1, round(seconds))))
    mlflow.MlflowClient(tracking_uri=uri).search_experiments(max_results=1)


def _unreachable(uri: str, reason: str) -> MlflowDvcError:
    return MlflowDvcError(
        f"the tracking server {shown(uri)} cannot be used: {reason}",
        "start the server, or name another: export MLFLOW_TRACKING_URI=...",
    )
