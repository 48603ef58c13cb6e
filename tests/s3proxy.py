"""A proxy before the S3 server: it notes every request, and can cut uploads half way."""

from __future__ import annotations

import http.client
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from s3 import S3

_STEP = 65536
_TOKEN = re.compile(rb"<NextContinuationToken>.*?</NextContinuationToken>")


class Proxy:
    """``asked`` counts (method, path) and ``pages`` the listings, with the number of names wanted.

    While ``cut`` is a number, the connection of an upload breaks after that many bytes of it.
    ``one_page`` leaves out how a listing goes on, as servers do that know only its first version.
    """

    def __init__(self, behind: str) -> None:
        self.behind = urlsplit(behind)
        self.asked: Counter[tuple[str, str]] = Counter()
        self.pages: list[int] = []
        self.cut: int | None = None
        self.cuts = 0
        self.one_page = False
        self.lock = threading.Lock()
        self.url = ""

    def forget(self) -> None:
        """Begin to count anew."""
        self.asked.clear()
        self.pages.clear()

    def count(self, method: str) -> int:
        """Return the number of requests with this method that name an object."""
        found = self.asked.items()
        return sum(times for (name, path), times in found if name == method and "/files/" in path)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, proxy: Proxy) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _pass_on(self) -> None:
        proxy = self.server.proxy
        where = urlsplit(self.path)
        query = parse_qs(where.query)
        with proxy.lock:
            proxy.asked[self.command, where.path] += 1
            if "list-type" in query:
                proxy.pages.append(int(query.get("max-keys", ["1000"])[0]))
        length = int(self.headers.get("Content-Length", 0))
        cut = proxy.cut if self.command == "PUT" else None
        backend = http.client.HTTPConnection(str(proxy.behind.hostname), proxy.behind.port)
        try:
            backend.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name not in ("Connection", "Expect"):
                    backend.putheader(name, value)
            backend.endheaders()
            self._send_body(backend, length if cut is None else min(length, cut))
            if cut is not None and cut < length:
                self._break(backend)
                return
            self._answer(backend.getresponse())
        finally:
            backend.close()

    def _send_body(self, backend: http.client.HTTPConnection, left: int) -> None:
        while left and (part := self.rfile.read(min(left, _STEP))):
            backend.send(part)
            left -= len(part)

    def _break(self, backend: http.client.HTTPConnection) -> None:
        """Reset both connections, as a router that loses its table does."""
        with self.server.proxy.lock:
            self.server.proxy.cuts += 1
        for connection in (self.connection, backend.sock):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.rfile.close()
        self.connection.close()

    def _answer(self, response: http.client.HTTPResponse) -> None:
        body = response.read()
        if self.server.proxy.one_page:
            body = _TOKEN.sub(b"", body)
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name not in ("Connection", "Transfer-Encoding", "Content-Length"):
                self.send_header(name, value)
        length = response.getheader("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_DELETE = do_GET = do_HEAD = do_POST = do_PUT = _pass_on  # noqa: N815 - http.server's names


@pytest.fixture
def proxy(s3_server: S3) -> Iterator[Proxy]:
    """Put a proxy before the S3 server."""
    found = Proxy(s3_server.url)
    with _Server(found) as server:
        found.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield found
        server.shutdown()
        thread.join(10)
