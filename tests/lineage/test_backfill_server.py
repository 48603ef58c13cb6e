"""A tracking server that goes away half way, and objects that Git has lost."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import mlflow
import pytest
from conftest import Git

from lineage.backfilling import filled, old_run, ours, run
from mlflow_dvc_plugin.errors import MlflowDvcError


class Line:
    """A line to a server, which can be cut."""

    def __init__(self, uri: str) -> None:
        self._there = (urlsplit(uri).hostname or "", urlsplit(uri).port or 0)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.uri = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self) -> None:
        """Refuse new connections and end those there are."""
        for one in (self._socket, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._socket.accept()
                far = socket.create_connection(self._there)
                self._open += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=(one, other), daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)


@pytest.fixture
def line(mlflow_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    made = Line(mlflow_server)
    yield made
    made.cut()


@pytest.mark.slow
def test_a_server_that_goes_away_leaves_whole_runs_and_the_next_call_goes_on(
    repo: Path, git: Git, mlflow_server: str, line: Line, use_store: Callable[[str], str]
) -> None:
    use_store(mlflow_server)
    experiment = mlflow.create_experiment("cut")
    runs = [old_run(git("rev-parse", "HEAD"), "train.py", experiment) for _ in range(110)]
    use_store(line.uri)
    with pytest.raises(MlflowDvcError, match="cannot be used") as caught:
        filled("cut", progress=lambda what, done, total: line.cut())
    assert caught.value.hint
    use_store(mlflow_server)
    tagged = [one for one in runs if ours(run(one))]
    assert len(tagged) == 100
    assert all("dvc.schema" in ours(run(one)) for one in tagged)
    assert filled("cut").written == 10


def test_a_damaged_commit_is_named_and_the_others_are_done(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    first = git("rev-parse", "HEAD")
    tree = git("rev-parse", "HEAD:data")
    (repo / "data/test.csv.dvc").write_text("outs:\n- {md5: " + "a" * 32 + ", path: test.csv}\n")
    git("add", "data")
    git("commit", "-qm", "more")
    lost, kept = old_run(first), old_run(git("rev-parse", "HEAD"))
    (repo / ".git/objects" / tree[:2] / tree[2:]).unlink()
    found = filled()
    assert list(found.broken) == [first] and found.written == 1 and not found.complete
    assert ours(run(lost)) == {} and "dvc.data.test.csv" in ours(run(kept))


def test_what_is_checked_out_stays_as_it_is(repo: Path, git: Git, tracking_sqlite: str) -> None:
    old = old_run(git("rev-parse", "HEAD"))
    (repo / "data/train.csv").write_text("mine")
    (repo / "new.py").write_text("")
    git("checkout", "-q", "--orphan", "other")
    git("commit", "-qm", "another history")
    before = git("status", "--porcelain=v2"), git("for-each-ref"), git("rev-parse", "HEAD")
    assert filled().written == 1
    assert "dvc.manifest" in ours(run(old))
    assert before == (
        git("status", "--porcelain=v2"),
        git("for-each-ref"),
        git("rev-parse", "HEAD"),
    )
    assert (repo / "data/train.csv").read_text() == "mine"
