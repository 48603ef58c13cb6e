"""Have files that are put in place read, or looked at, by another process while more come."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import IO, cast

from mlflow_dvc_plugin.capture.known import Key
from mlflow_dvc_plugin.lineage import readfiles

WORTH = 1000  # files: to start a process takes as long as to read them
AT_ONCE = 256  # files: so many are in place before the first of them is read
_SECONDS = 3600.0


class Reader:
    """A process that reads or looks at files; it tells nothing of any if it is gone.

    One that is stopped, or hangs, is ended after an hour. Raises OSError where none can be started.
    """

    def __init__(self) -> None:
        self._count = 0
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", readfiles.__file__],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        self._limit = threading.Timer(_SECONDS, self._process.kill)
        self._limit.daemon = True
        self._limit.start()

    def read(self, objects: str, folder: str, links: Sequence[tuple[str, str]]) -> None:
        """Let it read these links to ``objects``: (name in the folder, md5); absolute paths."""
        self._count += len(links)
        self._send("\0".join([objects, folder, *[md5 + name for name, md5 in links]]))

    def look(self, folder: str, links: Sequence[tuple[str, str]]) -> None:
        """Let it look at these links in the folder, without reading them."""
        self.read("", folder, links)

    def told(self) -> list[Key]:
        """Wait for it; return what ``stat`` said of each link since the last time.

        NONE stands for one that does not have its md5, is not the object, or was not read; and for
        one that is not there.
        """
        self._send("")
        size, self._count = self._count * readfiles.RECORD.size, 0
        head = readfiles.LENGTH.pack(size)
        answer = cast("IO[bytes]", self._process.stdout).read(len(head) + size)
        whole = answer.startswith(head) and len(answer) == len(head) + size
        records = answer[len(head) :] if whole else bytes(size)
        return list(readfiles.RECORD.iter_unpack(records))

    def _send(self, message: str) -> None:
        data = os.fsencode(message)
        pipe = cast("IO[bytes]", self._process.stdin)
        try:
            pipe.write(readfiles.LENGTH.pack(len(data)) + data)
            pipe.flush()
        except OSError:  # it is gone
            self._process.kill()

    def end(self) -> None:
        """Stop it."""
        self._limit.cancel()
        self._process.kill()
        self._process.communicate()


def can_help() -> bool:
    """Tell whether there is a second processor, and a Python to start."""
    if getattr(sys, "frozen", False) or not sys.executable or os.open not in os.supports_dir_fd:
        return False
    try:
        return len(os.sched_getaffinity(0)) > 1
    except AttributeError:  # not on this system
        return False
