"""Make ``python -m mlflow_dvc_plugin.cli`` the same as ``mlflow-dvc``."""

import sys

from mlflow_dvc_plugin.cli import main

sys.exit(main())
