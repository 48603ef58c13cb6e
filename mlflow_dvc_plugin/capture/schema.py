"""Which metadata files DVC accepts: its schemas as values, and one function that checks them.

A schema is a type, None, a tuple of alternatives, a list (each item matches one of its schemas), a
dict (no other keys allowed; ``name!`` is required; ``str`` stands for any text key) or a function
that returns a fault. Source: ``dvc/schema.py`` and ``dvc/output.py`` of DVC 3.67.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_NAMES = {str: "text", int: "a number", bool: "true or false", dict: "a mapping", list: "a list"}


def fault(value: Any, schema: Any, where: str = "") -> str | None:
    """Return the first thing wrong with ``value``, such as ``outs[0].md5: …``, or None."""
    if schema is object:
        return None
    if schema is None:
        return None if value is None else f"{where}: must be empty"
    if isinstance(schema, type):
        return None if isinstance(value, schema) else f"{where}: must be {_NAMES[schema]}"
    if isinstance(schema, tuple):
        return _fault_any(value, schema, where)
    if isinstance(schema, list):
        return _fault_list(value, schema, where)
    if isinstance(schema, dict):
        return _fault_dict(value, schema, where)
    check: Callable[[Any], str | None] = schema
    problem = check(value)
    return problem and f"{where}: {problem}"


def _fault_any(value: Any, schemas: tuple[Any, ...], where: str) -> str | None:
    faults = [fault(value, schema, where) for schema in schemas]
    # The last fault is the deepest one when a mapping was meant; all of them failed anyway.
    return None if None in faults else faults[-1]


def _fault_list(value: Any, schemas: list[Any], where: str) -> str | None:
    if not isinstance(value, list):
        return f"{where}: must be a list"
    for index, item in enumerate(value):
        if problem := _fault_any(item, tuple(schemas), f"{where}[{index}]"):
            return problem
    return None


def _fault_dict(value: Any, schema: dict[Any, Any], where: str) -> str | None:
    if not isinstance(value, dict):
        return f"{where or 'the file'}: must be a mapping"
    for key, item in value.items():
        inner = schema.get(key, schema.get(f"{key}!"))
        if inner is None and key not in schema:
            inner = schema.get(str) if isinstance(key, str) else None
            if inner is None:
                return f"{where + ': ' if where else ''}unknown key '{key}'"
        if problem := fault(item, inner, f"{where}.{key}" if where else str(key)):
            return problem
    for key in schema:
        if isinstance(key, str) and key.endswith("!") and key[:-1] not in value:
            return f"{where + ': ' if where else ''}'{key[:-1]}' is missing"
    return None


def _checksum(value: Any) -> str | None:
    # A number passes DVC's schema and then crashes it: a hash of digits only must be quoted.
    if value is None or (isinstance(value, str) and (not value or len(value) >= 3)):
        return None
    return "not a hash"


def _one_cloud(value: Any) -> str | None:
    if isinstance(value, dict) and len(value) > 1:
        return "names more than one remote"
    return fault(value, {str: {**_META, **_CHECKSUMS}}, "cloud")


def _lock_version(value: Any) -> str | None:
    return None if value == "2.0" else "unsupported version"


_META = {"size": int, "nfiles": int, "isexec": bool, "version_id": str}
_CHECKSUMS = {"md5": _checksum, "checksum": _checksum, "etag": _checksum}
_ENTRY = {**_META, **_CHECKSUMS, "path": str, "persist": bool, "cloud": _one_cloud, "hash": str}
_LISTED = [{**_META, **_CHECKSUMS, "relpath!": str, "cloud": _one_cloud}]
_NOTES = {"desc": str, "type": str, "labels": [str], "meta": object}
_OUT = {
    **_ENTRY, **_NOTES, "cache": bool, "remote": str, "push": bool, "files": _LISTED,
    "fs_config": dict,
}  # fmt: skip
_DEP = {
    **_ENTRY,
    "files": _LISTED,
    "fs_config": dict,
    "repo": {
        "url!": str, "rev": str, "rev_lock": str, "config": (str, dict), "remote": (str, dict),
    },
    "db": {"query": str, "connection": str, "file_format": str, "table": str},
}  # fmt: skip

DVCFILE = {
    "md5": _checksum, "wdir": (str, None), "deps": ([_DEP], None), "outs": ([_OUT], None),
    "locked": bool, "frozen": bool, "meta": object, "always_changed": bool, "desc": str,
}  # fmt: skip

_LOCKED = [
    {**_META, **_CHECKSUMS, "path!": str, "cloud": _one_cloud, "files": _LISTED, "hash": str,
     "dataset": dict}
]  # fmt: skip
LOCK = {
    "schema!": _lock_version,
    "datasets": object,
    "stages": {
        str: {"cmd!": (str, list), "deps": _LOCKED, "outs": _LOCKED, "params": {str: {str: object}}}
    },
}

_OUT_FLAGS = {
    **_NOTES, "cache": bool, "persist": bool, "checkpoint": bool, "remote": str, "push": bool,
}  # fmt: skip
_PLOT_FLAGS = {
    **_OUT_FLAGS, "template": str, "x": str, "y": str, "x_label": str, "y_label": str,
    "title": str, "header": bool,
}  # fmt: skip
STAGE: dict[Any, Any] = {
    "matrix": {str: (str, list)}, "cmd!": (str, list), "wdir": str, "deps": [str],
    "params": [str, dict], "vars": [str, dict], "frozen": bool, "meta": object, "desc": str,
    "always_changed": bool, "outs": [str, {str: _OUT_FLAGS}], "metrics": [str, {str: _OUT_FLAGS}],
    "plots": [str, {str: _PLOT_FLAGS}],
}  # fmt: skip


def _stage(value: Any) -> str | None:
    if isinstance(value, dict) and ("foreach" in value or "do" in value):
        return fault(value, {"foreach!": (dict, list, str), "do!": STAGE}, "stage")
    return fault(value, STAGE, "stage")


_PLOT = {
    "x": (str, {str: str}), "y": (str, [str], {str: (str, [str])}), "x_label": str,
    "y_label": str, "title": str, "template": str,
}  # fmt: skip


def _plot(value: Any) -> str | None:
    if isinstance(value, dict) and not value:
        return "must not be empty"
    return fault(value, (str, {str: (_PLOT, None)}), "plot")


ARTIFACTS: dict[Any, Any] = {str: {"path!": str, **_NOTES}}
PIPELINE = {
    "datasets": object, "plots": [_plot], "stages": {str: _stage}, "vars": [str, dict],
    "params": [str], "metrics": [str], "artifacts": ARTIFACTS,
}  # fmt: skip
