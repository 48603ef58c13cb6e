"""Values as text for a terminal."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone

import click


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


def fail(message: str, hint: str, code: int = 1) -> int:
    """Say what failed, and the command that mends it; return the exit code."""
    click.echo(f"error: {message}", err=True)
    if hint:
        click.echo(f"hint: {hint}", err=True)
    return code


def day_and_minute(ms: float | None) -> str:
    """Return a time, given in ms since 1970, where the reader is."""
    if ms is None:
        return "unknown"
    return datetime.fromtimestamp(ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M")


def moment(ms: float | None) -> str | None:
    """Return a time, given in ms since 1970, as JSON has it: ISO 8601 in UTC."""
    return None if ms is None else datetime.fromtimestamp(ms / 1000, timezone.utc).isoformat()


def amount(number: int) -> str:
    """Return a number of bytes in a unit that fits."""
    value, units = float(number), ["bytes", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return counted(number, "byte") if units[0] == "bytes" else f"{value:.1f} {units[0]}"


def switched_off() -> bool:
    """Tell whether ``MLFLOW_DVC_DISABLE`` keeps the provider from tagging runs."""
    value = os.environ.get("MLFLOW_DVC_DISABLE", "")
    return value.strip().lower() not in ("", "0", "false", "no")
