"""Why a metadata file cannot be used."""

from __future__ import annotations


class MetadataError(Exception):
    """Why a metadata file cannot be used, in one line."""


def one_line(error: object) -> str:
    """Return an error's text as one short line."""
    return " ".join(str(error).split())[:300]
