"""The make targets that the documents name exist. What else they say is tested in `tests/cli`."""

from __future__ import annotations

import re
import subprocess

import pytest
from conftest import CHECKOUT

DOCUMENTS = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md")])
TARGET = re.compile(r"`make ([a-z-]+)`|^\s*make ([a-z-]+)", re.MULTILINE)


def named_targets() -> set[str]:
    texts = [document.read_text(encoding="utf-8") for document in DOCUMENTS]
    return {one or other for text in texts for one, other in TARGET.findall(text)}


@pytest.mark.parametrize("target", sorted(named_targets()))
def test_a_make_target_that_a_document_names_exists(target: str) -> None:
    command = ["make", "--dry-run", "--no-print-directory", target]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_four_targets_of_a_fresh_machine_are_named() -> None:
    assert named_targets() >= {"demo", "test", "lint", "bench"}
