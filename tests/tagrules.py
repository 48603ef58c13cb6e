"""The limits of a tag that every MLflow store takes, as `tags.md` states them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Any

KEY = re.compile(r"[/\w.\- :]*")
OURS = ("dvc.", "git.", "mlflow.source.git.")


def ours(tags: Mapping[str, str]) -> dict[str, str]:
    """Return those of a run's tags that this plugin may write."""
    return {key: value for key, value in tags.items() if key.startswith(OURS)}


def assert_every_store_takes(tags: Mapping[Any, Any]) -> None:
    """Fail when one of ``tags`` would fail `start_run` on some store, or hold a secret."""
    size = 0
    for key, value in tags.items():
        assert type(key) is str and type(value) is str, (key, value)
        assert KEY.fullmatch(key) and len(key) <= 250, key
        assert posixpath.normpath(key) == key and not key.startswith(("/", "..")), key
        assert not any(other != key and other.startswith(key + "/") for other in tags), key
        assert len(value) <= 5000, (key, len(value))
        assert not re.search(r"[\0\r\n]", value), (key, value)
        assert "SECRET" not in value, (key, value)
        size += len(key.encode()) + len(value.encode())  # raises for a lone surrogate
    assert len(tags) <= 50, len(tags)
    assert size <= 16_000, size
