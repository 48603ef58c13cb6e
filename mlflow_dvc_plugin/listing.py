"""Look for many keys in the listing of an S3 bucket: a page of it tells as much as 1,000 HEADs."""

from __future__ import annotations

import posixpath
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

_PAGE = 1000
# Keys that a page has to decide for the next page to be worth its while: it costs some HEADs.
_WORTH = 64
# Parts of the listing that are read at once, and keys that make a part worth one page more: a page
# takes the way to the server and back, and tells of the next one only then.
_AT_ONCE = 4
_PART = 2000

# Parameters of ListObjectsV2 -> its response, None for who may not list, or not from within.
Page = Callable[[Mapping[str, Any]], Any]


@dataclass
class Told:
    """What the pages tell; ``left`` are the keys that have to be asked for one by one."""

    present: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)
    left: list[str] = field(default_factory=list)


def look(page: Page, keys: Collection[str]) -> Told:
    """Look for the keys; hashes are spread evenly, and it goes on while pages decide enough.

    The first page also tells what is wrong with key, secret or bucket, for which a HEAD has no
    words.
    """
    wanted = sorted(keys)
    folder = posixpath.commonpath(map(posixpath.dirname, wanted))
    prefix = f"{folder}/" if folder else ""
    parts = min(_AT_ONCE, len(wanted) // _PART)
    if parts < 2:
        return _part(page, prefix, wanted, "")
    size = -(-len(wanted) // parts)
    stop = threading.Event()

    def checked(more: Mapping[str, Any]) -> Any:
        return None if stop.is_set() else page(more)

    def part(at: int) -> Told:
        return _part(checked, prefix, wanted[at : at + size], wanted[at - 1] if at else "")

    told = Told()
    with ThreadPoolExecutor(parts) as pool:
        try:
            for one in pool.map(part, range(0, len(wanted), size)):
                told.present |= one.present
                told.absent |= one.absent
                told.left += one.left
        except BaseException:
            stop.set()  # nobody waits for the rest of the other parts
            raise
    return told


def _part(page: Page, prefix: str, wanted: Sequence[str], after: str) -> Told:
    """Look for these keys, in their order, behind the key ``after``."""
    told, left, last = Told(), dict.fromkeys(wanted), after
    more: dict[str, Any] = {"Prefix": prefix, "MaxKeys": _PAGE if len(left) >= _WORTH else 1}
    if after:
        more["StartAfter"] = after
    while left:
        answer = page(more)
        keys = [str(item["Key"]) for item in answer.get("Contents", ())] if answer else []
        before = len(left)
        for key in keys:
            if key in left:
                del left[key]
                told.present.add(key)
        if answer is None or keys != sorted(keys) or (keys and keys[0] < last):
            break  # directory buckets list in no order: what is not listed yet may come
        if not answer.get("IsTruncated"):
            told.absent.update(left)
            return told
        last = keys[-1] if keys else last
        for key in [key for key in left if key < last]:
            del left[key]
            told.absent.add(key)
        token = answer.get("NextContinuationToken")  # servers of the first version give none
        if before - len(left) < _WORTH or not token:
            break
        more["ContinuationToken"] = str(token)
    told.left = list(left)
    return told
