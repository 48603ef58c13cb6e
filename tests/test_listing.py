"""Keys looked for in a listing are found as one question for each would find them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_dvc_plugin import listing
from mlflow_dvc_plugin.listing import look

KEYS = [
    f"dvc/files/md5/{text[:2]}/{text[2:]}"
    for text in (hashlib.md5(b"%d" % number).hexdigest() for number in range(400))
]
# What servers do with a listing: S3's rules, and what some of them know no better.
KINDS = ("s3", "no start", "one page", "no order", "no rights", "start refused")


def served(kind: str, keys: list[str], size: int, asked: list[Mapping[str, Any]]) -> listing.Page:
    """Return what answers as ListObjectsV2, by the rules of S3's documentation."""

    def page(more: Mapping[str, Any]) -> Any:
        asked.append(dict(more))
        begin = more.get("ContinuationToken") or more.get("StartAfter", "")
        if kind == "no rights" or (kind == "start refused" and "StartAfter" in more):
            return None
        if kind == "no start" and "ContinuationToken" not in more:
            begin = ""
        inside = [key for key in sorted(keys) if key.startswith(more["Prefix"]) and key > begin]
        some = inside[: min(size, more["MaxKeys"])]
        full = len(some) < len(inside)
        answer: dict[str, Any] = {"Contents": [{"Key": key} for key in some], "IsTruncated": full}
        if kind == "no order":
            answer["Contents"].reverse()
        if full and kind != "one page":
            answer["NextContinuationToken"] = some[-1]
        return answer

    return page


def _small(patched: Callable[[], None]) -> None:
    before = listing._PAGE, listing._PART, listing._WORTH
    listing._PAGE, listing._PART, listing._WORTH = 20, 40, 3
    try:
        patched()
    finally:
        listing._PAGE, listing._PART, listing._WORTH = before


@settings(deadline=None, max_examples=300)
@given(
    there=st.sets(st.sampled_from(KEYS)),
    wanted=st.sets(st.sampled_from(KEYS), min_size=1),
    kind=st.sampled_from(KINDS),
    size=st.integers(1, 40),
)
def test_what_it_tells_is_true_and_nothing_is_left_out(
    there: set[str], wanted: set[str], kind: str, size: int
) -> None:
    def check() -> None:
        asked: list[Mapping[str, Any]] = []
        told = look(served(kind, sorted(there), size, asked), wanted)
        assert told.present <= there and not told.absent & there
        assert sorted([*told.present, *told.absent, *told.left]) == sorted(wanted)

    _small(check)


def test_many_keys_take_as_many_pages_as_there_are_and_some() -> None:
    def check() -> None:
        asked: list[Mapping[str, Any]] = []
        told = look(served("s3", KEYS, 20, asked), KEYS)
        assert (told.present, told.absent, told.left) == ({*KEYS}, set(), [])
        assert len(asked) <= len(KEYS) // 20 + listing._AT_ONCE
        starts = [one for one in asked if "StartAfter" in one and "ContinuationToken" not in one]
        assert len(starts) == listing._AT_ONCE - 1

    _small(check)


def test_an_error_of_one_part_ends_the_others() -> None:
    asked: list[Mapping[str, Any]] = []
    good = served("s3", KEYS, 5, asked)

    def page(more: Mapping[str, Any]) -> Any:
        if "StartAfter" not in more:
            raise PermissionError
        time.sleep(0.05)
        return good(more)

    def check() -> None:
        with pytest.raises(PermissionError):
            look(page, KEYS)
        assert len(asked) < 20  # of 60

    _small(check)
