"""The only part that imports the dvc library; each use has a test that fails when DVC changes."""

from mlflow_dvc_plugin.dvcrepo.reading import (
    DEFAULT_IGNORED,
    IGNORE_FILE,
    DvcMissingError,
    Filter,
    has_patterns,
    ignore_filter,
    resolve,
    visible_paths,
    walk_data,
)

__all__ = [
    "DEFAULT_IGNORED", "IGNORE_FILE", "DvcMissingError", "Filter", "has_patterns",
    "ignore_filter", "resolve", "visible_paths", "walk_data",
]  # fmt: skip
