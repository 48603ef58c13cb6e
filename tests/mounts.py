"""File systems of the test's own: small ones, and ones that cannot be written."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Mount = Callable[..., Path]


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Run `mount *options DIR`; all is unmounted after the test, which is skipped without rights.

    For people who may not, run the tests in a namespace: `unshare -rm .venv/bin/python -m pytest`.
    """
    mounted: list[Path] = []

    def run(place: Path, *options: str) -> Path:
        place.mkdir(parents=True, exist_ok=True)
        command = ["mount", *options, str(place)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
        if place not in mounted:
            mounted.append(place)
        return place

    yield run
    for place in reversed(mounted):
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def tmpfs(mount: Mount, place: Path, size: str) -> Path:
    """Mount an empty file system of this size."""
    return mount(place, "-t", "tmpfs", "-o", f"size={size}", "none")
