"""Values as text for a terminal."""

from __future__ import annotations

import json
import os


def printable(text: str) -> str:
    """Return the text, as a JSON string when it holds control or undecodable characters."""
    return text if text.isprintable() else json.dumps(text)


def shortened(text: str, at_most: int = 100) -> str:
    """Return the text, cut where it is longer, with its length behind it."""
    if len(text) <= at_most:
        return text
    return f"{text[:at_most]}... ({len(text)} characters)"


def counted(number: int, thing: str) -> str:
    """Return ``1 file``, ``2 files``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def switched_off() -> bool:
    """Tell whether ``MLFLOW_DVC_DISABLE`` keeps the provider from tagging runs."""
    value = os.environ.get("MLFLOW_DVC_DISABLE", "")
    return value.strip().lower() not in ("", "0", "false", "no")
