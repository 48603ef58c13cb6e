"""Read many Git objects, in as many turns as it takes, with one start of Git."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator, Sequence
from typing import IO, cast

from mlflow_dvc_plugin.gitrepo.call import GitError, end, failure, start

# Names in one request: less than a pipe holds, so that writing never waits for Git, which may be
# waiting for us to read.
_AT_ONCE = 500
_COMMAND = ("cat-file", "--batch")


class GitObjects:
    """The objects of the repository at ``toplevel``.

    ``git cat-file --batch`` is started when it is first asked, and ends with this object. One
    request may take ``patience`` seconds.
    """

    def __init__(self, toplevel: str, patience: float) -> None:
        self._toplevel = toplevel
        self._patience = patience
        self._lock = threading.Lock()
        self._git: _Git | None = None

    def read(self, names: Sequence[str]) -> Iterator[tuple[str, bytes] | None]:
        """Yield (id, content) for each of the names; None for one that is not here.

        A name is an id, or ``<commit>^{tree}``: nothing with a line break or more than 100
        characters. Raises GitError.
        """
        for begin in range(0, len(names), _AT_ONCE):
            yield from self._request(names[begin : begin + _AT_ONCE])

    def _request(self, names: Sequence[str]) -> list[tuple[str, bytes] | None]:
        with self._lock:
            if self._git is None:
                self._git = _Git(self._toplevel)
            try:
                return self._git.answer(names, self._patience)
            except BaseException:
                self._git.close()
                self._git = None
                raise


class _Git:
    """One ``git cat-file --batch``."""

    def __init__(self, toplevel: str) -> None:
        import tempfile  # here: the hooks import this package, and have no use for it
        import weakref

        self._toplevel = toplevel
        # No pipe: nobody would read it while Git goes on.
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as Git is
        try:
            self._process = start(toplevel, _COMMAND, stderr=self._errors)
        except GitError:
            self._errors.close()
            raise
        self._requests = cast(IO[bytes], self._process.stdin)
        self._answers = cast(IO[bytes], self._process.stdout)
        self.close = weakref.finalize(self, _close, self._process, self._errors)

    def answer(self, names: Sequence[str], seconds: float) -> list[tuple[str, bytes] | None]:
        late = threading.Event()
        timer = threading.Timer(seconds, _stop, (self._process, late))
        timer.daemon = True
        timer.start()
        try:
            return self._answer(names)
        except (OSError, EOFError) as error:
            if late.is_set():
                text = f"git cat-file did not answer within {seconds:.1f} s"
                raise GitError(text) from error
            raise self._failure() from error
        finally:
            timer.cancel()

    def _answer(self, names: Sequence[str]) -> list[tuple[str, bytes] | None]:
        self._requests.write("".join(f"{name}\n" for name in names).encode())
        self._requests.flush()
        return [_one(self._answers) for _ in names]

    def _failure(self) -> GitError:
        """Return what Git said; it has closed its output, and so ends."""
        code = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode("utf-8", "replace")
        return failure(_COMMAND, code, said, self._toplevel)


def _stop(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    end(process)


def _one(out: IO[bytes]) -> tuple[str, bytes] | None:
    """Read the next answer. Raises EOFError where it ends."""
    head = out.readline()
    words = head.split()
    if not head.endswith(b"\n"):
        raise EOFError
    if len(words) != 3 or not words[2].isdigit():
        return None
    size = int(words[2])
    data = out.read(size)
    if len(data) != size or out.read(1) != b"\n":
        raise EOFError
    return words[0].decode(), data


def _close(process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
    """End Git: without requests it goes by itself."""
    with contextlib.suppress(OSError):  # what it did not read
        cast(IO[bytes], process.stdin).close()
    cast(IO[bytes], process.stdout).close()
    try:
        process.wait(1.0)
    except subprocess.TimeoutExpired:
        end(process)
        process.wait()
    errors.close()
