"""The hash that an output is remembered to have with a fingerprint."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from mlflow_dvc_plugin.capture.fingerprint import Fingerprint, settled
from mlflow_dvc_plugin.capture.store import Store
from mlflow_dvc_plugin.provenance import Output

_TRIES, _TICK = 6, 0.002  # seconds; a kernel's clock ticks every 1 to 10 ms


def key_of(output: Output) -> str:
    """Return the name under which an output is remembered."""
    return f"{output.scheme} {output.path}"


def remembered(store: Store, output: Output) -> Fingerprint | None:
    """Return the fingerprint with which the output is known to be what its metadata states."""
    known = store.data["outputs"].get(key_of(output))
    return Fingerprint(*known[0]) if known and known[2] == output.hash else None


def lasting(rows: Mapping[str, str], stamp: int) -> Iterator[tuple[str, str]]:
    """Yield those of a directory's files of which a change after ``stamp`` (ns) would show.

    ``rows`` as in Disk: relative path -> "inode size mtime ctime md5".
    """
    for rel, row in rows.items():
        _, _, mtime, ctime, _ = row.split(" ")
        if settled(max(int(mtime), int(ctime)), stamp):
            yield rel, row


def remember(
    store: Store, output: Output, found: Fingerprint, ignore: str, holds: Callable[[], bool]
) -> bool:
    """Keep that with this fingerprint the output is what its metadata states, and tell whether.

    ``ignore`` as in Disk. ``holds`` reads the bytes, at a time when a change of them would show in
    the fingerprint; not called, and nothing kept, while that is too young for it.
    """
    for _ in range(_TRIES):
        if settled(found.newest, store.now()):
            if not holds():
                return False
            store.data["outputs"][key_of(output)] = [list(found), ignore, output.hash]
            return True
        time.sleep(_TICK)
    return False
