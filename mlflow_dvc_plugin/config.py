"""Settings: ``[tool.mlflow-dvc]`` of the toplevel's ``pyproject.toml``, each with a variable.

A wrong setting never stops anything: it is reported with the values that are allowed, and the
default is used.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

_BUDGET = 5.0


class Settings(NamedTuple):
    """``budget`` is in seconds; ``inputs`` and ``models`` are patterns, None for the default.

    ``snapshot`` says what is kept of a dirty tree: ``code``, ``tracked`` or ``off``.
    The rest is for the Git hooks; ``max_file_size`` is in MB (10 ** 6 bytes).
    """

    budget: float = _BUDGET
    inputs: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    output_tags: int = 20
    snapshot: str = "code"
    fetch: bool = False
    strict_hooks: bool = False
    drift: str = "block"
    fix: bool = False
    allow_missing: bool = False
    max_file_size: float = 10.0


VARIABLES = {
    "budget": "MLFLOW_DVC_BUDGET",
    "inputs": "MLFLOW_DVC_INPUTS",
    "models": "MLFLOW_DVC_MODELS",
    "output_tags": "MLFLOW_DVC_OUTPUT_TAGS",
    "snapshot": "MLFLOW_DVC_SNAPSHOT",
    "fetch": "MLFLOW_DVC_FETCH",
    "strict_hooks": "MLFLOW_DVC_STRICT_HOOKS",
    "drift": "MLFLOW_DVC_DRIFT",
    "fix": "MLFLOW_DVC_FIX",
    "allow_missing": "MLFLOW_DVC_ALLOW_MISSING",
    "max_file_size": "MLFLOW_DVC_MAX_FILE_SIZE",
}
_SWITCH = "true or false"
ALLOWED = {
    "budget": "a number of seconds from 0.1 to 3600",
    "inputs": "a list of patterns (in the variable: separated by commas)",
    "models": "a list of patterns (in the variable: separated by commas)",
    "output_tags": "a whole number from 0 to 20",
    "snapshot": "code, tracked or off",
    "fetch": _SWITCH,
    "strict_hooks": _SWITCH,
    "drift": "block or warn",
    "fix": _SWITCH,
    "allow_missing": _SWITCH,
    "max_file_size": "a number of megabytes from 0.1 to 1000000",
}


def read_settings(toplevel: str | None, content: bytes | None = None) -> tuple[Settings, list[str]]:
    """Return the settings and a sentence for each that is wrong; never raises.

    ``content`` is that of another ``pyproject.toml`` than the toplevel's.
    """
    problems: list[str] = []
    values: dict[str, Any] = {}
    table: Mapping[str, Any] = {}
    if content is not None:
        table = _parsed("pyproject.toml", content, problems)
    elif toplevel:
        table = _table(toplevel, problems)
    for name in sorted(set(table) - set(ALLOWED)):
        known = ", ".join(sorted(ALLOWED))
        problems.append(f"[tool.mlflow-dvc] {name} is not a setting; there are: {known}")
    for name, allowed in ALLOWED.items():
        for place, value in _given(name, table):
            checked = _CHECKS[name](value)
            if checked is None:
                problems.append(f"{place} = {value!r} is not {allowed}; the default is used")
            else:
                values[name] = checked
    return Settings(**values), problems


def settings_identity(toplevel: str | None) -> tuple[object, ...]:
    """Return what the settings depend on; equal means :func:`read_settings` gives the same."""
    info: tuple[int, ...] = ()
    if toplevel:
        try:
            found = os.stat(os.path.join(toplevel, "pyproject.toml"))
            info = (found.st_ino, found.st_size, found.st_mtime_ns)
        except OSError:
            info = ()
    return toplevel, info, *(os.environ.get(name) for name in VARIABLES.values())


def quick_budget() -> float:
    """Return the budget as far as it is known without looking at a file."""
    given = _number(os.environ.get(VARIABLES["budget"]) or _BUDGET)
    return _BUDGET if given is None else given


def flag(name: str) -> bool:
    """Tell whether an environment switch is on."""
    return os.environ.get(name, "").strip().lower() in {"1", "true", "yes", "on"}


def _given(name: str, table: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return (place, value), the weaker first: a wrong variable leaves the file's value."""
    found = [(f"[tool.mlflow-dvc] {name}", table[name])] if name in table else []
    value = os.environ.get(VARIABLES[name])
    return [*found, (VARIABLES[name], value)] if value else found


def has_settings(content: bytes) -> bool:
    """Tell whether a ``pyproject.toml`` may hold settings of ours."""
    return b"mlflow-dvc" in content


def _table(toplevel: str, problems: list[str]) -> Mapping[str, Any]:
    path = os.path.join(toplevel, "pyproject.toml")
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return {}
    except OSError as error:
        problems.append(f"{path} cannot be read ({error}); the default settings are used")
        return {}
    return _parsed(path, content, problems)


def _parsed(path: str, content: bytes, problems: list[str]) -> Mapping[str, Any]:
    if not has_settings(content):
        return {}
    try:
        text = content.decode()
        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib
        table = tomllib.loads(text).get("tool", {}).get("mlflow-dvc", {})
    except (ValueError, AttributeError, ImportError, RecursionError) as error:
        problems.append(f"{path} cannot be read ({error}); the default settings are used")
        return {}
    if isinstance(table, dict):
        return table
    problems.append(f"{path}: tool.mlflow-dvc is not a table; the default settings are used")
    return {}


def _number(value: object, at_most: float = 3600) -> float | None:
    try:
        number = float(value) if isinstance(value, (int, float, str)) else -1.0
    except (ValueError, OverflowError):
        return None
    return number if 0.1 <= number <= at_most and not isinstance(value, bool) else None


def _switch(value: object) -> bool | None:
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"0": False, "false": False, "no": False, "off": False}
    return value if isinstance(value, bool) else words.get(str(value).strip().lower())


def _drift(value: object) -> str | None:
    return _word(value, ("block", "warn"))


def _snapshot(value: object) -> str | None:
    return _word(value, ("code", "tracked", "off"))


def _word(value: object, words: tuple[str, ...]) -> str | None:
    return value if value in words and isinstance(value, str) else None


def _count(value: object) -> int | None:
    if isinstance(value, str) and value.strip() in map(str, range(21)):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= 20 else None


def _patterns(value: object) -> tuple[str, ...] | None:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        return None
    return tuple(part.strip() for part in parts if part.strip())


_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "budget": _number,
    "inputs": _patterns,
    "models": _patterns,
    "output_tags": _count,
    "snapshot": _snapshot,
    "fetch": _switch,
    "strict_hooks": _switch,
    "drift": _drift,
    "fix": _switch,
    "allow_missing": _switch,
    "max_file_size": lambda value: _number(value, 1_000_000),
}
