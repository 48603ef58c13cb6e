"""The option ``--data-repo``, the same for every verb that looks at data."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

F = TypeVar("F", bound=Callable[..., object])


def data_repo_option(command: F) -> F:
    """Give the command ``data_repo``: a folder of the DVC repository, None when not given."""
    return click.option(
        "--data-repo", metavar="DIR",
        help="The DVC repository of the data, when it is not the one here; by default the one "
             "that MLFLOW_DVC_REPO names, if set.",
    )(command)  # fmt: skip
