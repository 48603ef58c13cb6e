"""Run a function in a thread of its own and take its result later."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Background(Generic[T]):
    """A call that has begun; a daemon thread, so that it never keeps a process from ending.

    As a context manager it waits for the end of the call.
    """

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._value: list[T] = []
        self._error: Exception | None = None
        self._has_begun = False
        self._thread = threading.Thread(target=self._work, name="mlflow-dvc", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the interpreter is shutting down: there are no more threads
            self._work()

    def __enter__(self) -> Background[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.done()

    def _work(self) -> None:
        self._has_begun = True
        try:
            self._value.append(self._call())
        except Exception as error:  # noqa: BLE001 - raised again where the result is taken
            self._error = error

    def done(self, within: float | None = None) -> bool:
        """Wait, at most ``within`` seconds, and tell whether the call has ended."""
        if self._thread.ident is not None:
            self._thread.join(within)
        return not self._thread.is_alive()

    def result(self) -> T:
        """Wait for the end; return what the call returned or raise what it raised."""
        self.done()
        if not self._has_begun:
            # Under a debugger or coverage a thread can die as it starts: before 3.12 CPython cannot
            # trace another one while an audit hook runs.
            self._work()
        if self._error is not None:
            raise self._error
        return self._value[0]
