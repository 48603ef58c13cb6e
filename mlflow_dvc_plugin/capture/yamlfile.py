"""Bytes of a metadata file to plain values, by the rules DVC's own reader follows."""

from __future__ import annotations

from typing import Any

from mlflow_dvc_plugin.capture.broken import MetadataError


def parse(data: bytes) -> Any:
    """Return the document as plain values, None for an empty one.

    Raises MetadataError for what DVC refuses too: bytes that are not UTF-8, broken YAML, conflict
    markers, duplicate keys, more than one document.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MetadataError(f"not UTF-8: {error.reason} at byte {error.start}") from error
    # PyYAML takes longer to import than everything that is known already takes to be looked at.
    from mlflow_dvc_plugin.capture.yamlloader import load

    return load(text)
