"""PyYAML, made to read as DVC's own reader does; slow to import, so apart from its caller."""

from __future__ import annotations

import re
from typing import Any

import yaml

from mlflow_dvc_plugin.capture.broken import MetadataError, one_line

try:
    from yaml import CSafeLoader as _Base
except ImportError:  # PyYAML built without libyaml
    from yaml import SafeLoader as _Base  # type: ignore[assignment]

_CONFLICT = re.compile(r"^(<{7}|={7}|>{7})( |$)", re.MULTILINE)
_TAG = "tag:yaml.org,2002:"
_MERGE = _TAG + "merge"
# libyaml's reader descends in C: some ten thousand levels overflow the stack and end the process.
_DEEPEST = 500
# DVC reads YAML 1.2, where `yes`, `on` and `1:30` are text; PyYAML's own table is YAML 1.1.
_PLAIN = (
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[0-9_]+)", "-+0123456789"),
    (
        "float",
        r"[-+]?[0-9][0-9_]*(?:\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)"
        r"|[-+]?\.[0-9_]+(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
    (
        "timestamp",
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}"
        r":[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?",
        "0123456789",
    ),
    ("merge", "<<", "<"),
    ("value", "=", "="),
)


_MOST_MERGED = 100_000


class _Loader(_Base):
    """YAML 1.2 values, and a key given twice is an error."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's protocol

    def flatten_mapping(self, node: Any) -> None:
        """Merge ``<<`` keys, up to a number that no file written for DVC comes near."""
        super().flatten_mapping(node)
        if len(node.value) > _MOST_MERGED:
            raise MetadataError(f"more than {_MOST_MERGED} merged keys")

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        if isinstance(node, yaml.MappingNode):
            seen = set()
            for key, _ in node.value:
                if key.tag != _MERGE and isinstance(key, yaml.ScalarNode):
                    if key.value in seen:
                        line = key.start_mark.line + 1
                        raise MetadataError(f"line {line}: the key '{key.value}' is given twice")
                    seen.add(key.value)
        return super().construct_mapping(node, deep)


def _int(loader: Any, node: Any) -> int:
    text = str(loader.construct_scalar(node)).replace("_", "")
    try:
        return int(text, 0)
    except ValueError:
        return int(text)  # 007 is seven, not octal


for _name, _form, _first in _PLAIN:
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(f"^(?:{_form})$"), list(_first))
_Loader.add_constructor(_TAG + "int", _int)


def load(text: str) -> Any:
    """Return the document as plain values; raises MetadataError for what DVC refuses too."""
    try:
        _check_depth(text)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a subclass of the safe loader
    except yaml.YAMLError as error:
        raise MetadataError(_reason(text, error)) from error
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise MetadataError(f"broken YAML: {one_line(error)}") from error


def _check_depth(text: str) -> None:
    """Raise MetadataError for a text nested too deeply to be read."""
    # A level takes a bracket, or a column of its own; most files are too short to be deep.
    if len(text) <= _DEEPEST:
        return
    brackets = text.count("[") + text.count("{")
    if brackets <= _DEEPEST and max(map(len, text.splitlines())) <= _DEEPEST:
        return
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            raise MetadataError("nested too deeply")


def _reason(text: str, error: yaml.YAMLError) -> str:
    if _CONFLICT.search(text):
        return "merge conflict markers"
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}: " if mark is not None else ""
    return f"broken YAML: {where}{one_line(getattr(error, 'problem', None) or error)}"
