"""The files with slow tests come first: of two workers none then waits for the other at the end."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move whole files, for their tests share servers; each keeps the order of its tests."""
    slow: set[Path] = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
