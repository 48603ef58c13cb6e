"""Loading the provider costs nothing and cannot break `import mlflow`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from conftest import PythonIn

# Records every import statement that our modules execute while `import mlflow` runs.
LIGHT = """
import builtins, json, sys
seen, original = set(), builtins.__import__
def spy(name, globals=None, locals=None, fromlist=(), level=0):
    where = (globals or {}).get("__name__", "")
    if where.startswith("mlflow_dvc_plugin"):
        seen.add(name)
    return original(name, globals, locals, fromlist, level)
builtins.__import__ = spy
FIRST
import mlflow
builtins.__import__ = original
loaded = sorted(name for name in sys.modules if name.startswith("mlflow_dvc_plugin"))
from mlflow.tracking.context.registry import _run_context_provider_registry as registry
count = sum(type(one).__module__ == "mlflow_dvc_plugin.context" for one in registry)
print(json.dumps([sorted(seen), loaded, count]))
"""


@pytest.mark.parametrize("first", ["", "import mlflow_dvc_plugin.context"])
def test_loading_it_imports_the_standard_library_and_the_abstract_class_only(
    tmp_path: Path, python_in: PythonIn, first: str
) -> None:
    seen, loaded, count = json.loads(python_in(tmp_path, LIGHT.replace("FIRST", first)))
    foreign = [name for name in seen if name.partition(".")[0] not in sys.stdlib_module_names]
    abstract = {"mlflow.tracking.context.abstract_context", "mlflow.data.dataset_source"}
    assert set(foreign) <= abstract, foreign
    ours = {"mlflow_dvc_plugin", "mlflow_dvc_plugin.context", "mlflow_dvc_plugin.dataset"}
    assert set(loaded) <= ours, loaded
    assert count == 1, "MLflow did not register the provider"
