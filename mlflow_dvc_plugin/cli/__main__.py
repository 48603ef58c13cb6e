"""Make ``python -m mlflow_dvc_plugin.cli`` the same as ``mlflow-dvc``."""

from mlflow_dvc_plugin.cli import run

run()
