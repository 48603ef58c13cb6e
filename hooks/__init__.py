"""The Git hook scripts, shipped as ``mlflow_dvc_plugin.hooks``."""
