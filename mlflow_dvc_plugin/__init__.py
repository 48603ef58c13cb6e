"""Every MLflow run knows its Git commit and its DVC data, verified against the bytes on disk."""

from __future__ import annotations

__all__ = ["__version__", "tag_run"]


def tag_run(run_id: str | None = None) -> dict[str, str]:
    """Put the tags of the code and data as they are now on a run that no provider saw.

    For resumed runs, ``mlflow run`` and ``MlflowClient.create_run``; ``run_id`` is the active
    run's when None. Tags that the run has already are kept. Returns the tags that were added.
    Raises MlflowDvcError when there is no such run or the tracking server does not answer.
    """
    from mlflow_dvc_plugin.tagging import tag_run as tag

    return tag(run_id)


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("mlflow-dvc-plugin")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
