"""Lines to a real tracking server that go away half way."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

_METHODS = (b"GET ", b"POST ", b"PATCH ", b"PUT ", b"DELETE ")


class Line:
    """A line to a server, which can be cut; ``lost``: it ended itself, after some requests."""

    def __init__(self, uri: str, after: int | None) -> None:
        self._there = (urlsplit(uri).hostname or "", urlsplit(uri).port or 0)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._after = after
        self._requests = 0
        self.lost = False
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
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                if data.startswith(_METHODS):
                    if self._requests == self._after:
                        self.lost = True
                        self.cut()
                        return
                    self._requests += 1
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)


# Make a line to the server; given a number, it ends when that many requests have been answered.
NewLine = Callable[..., Line]


@pytest.fixture
def line(mlflow_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[NewLine]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    made: list[Line] = []

    def new(after: int | None = None) -> Line:
        made.append(Line(mlflow_server, after))
        return made[-1]

    yield new
    for one in made:
        one.cut()
