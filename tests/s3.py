"""A real S3 server for the tests: `rclone serve s3`, which verifies signatures."""

from __future__ import annotations

import socket
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from services import free_port, running, wait_for

KEY, SECRET = "access-key", "secret-key"


@dataclass(frozen=True)
class S3:
    """A server; its buckets are the folders in ``directory``."""

    url: str
    directory: Path


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """Start an S3 server and return it."""
    folder = tmp_path_factory.mktemp("s3")
    buckets = folder / "buckets"
    buckets.mkdir()
    port = free_port()
    command = [f"{sysconfig.get_path('scripts')}/rclone", "serve", "s3", "--no-cleanup"]
    # Buckets and objects are made and lost on disk, too. With 0s it spins for ever under several
    # requests at once.
    command += ["--dir-cache-time", "100ms"]
    command += ["--config", "", "--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}"]
    with running([*command, str(buckets)], str(folder), stop="SIGTERM"):
        address = ("127.0.0.1", port)
        wait_for(lambda: closing(socket.create_connection(address, 5)).__exit__(), OSError)
        yield S3(f"http://127.0.0.1:{port}", buckets)


@pytest.fixture
def bucket(s3_server: S3) -> Path:
    """Make an empty bucket of the test's own; return its folder."""
    return Path(tempfile.mkdtemp(prefix="bucket-", dir=s3_server.directory))
