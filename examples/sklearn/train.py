"""Train a classifier and log it to MLflow."""

import json
import pickle
from pathlib import Path

import mlflow
import numpy as np
import yaml
from sklearn.ensemble import RandomForestClassifier


def read(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return measurements and species."""
    table = np.loadtxt(f"prepared/{name}.csv", delimiter=",", skiprows=1)
    return table[:, :-1], table[:, -1]


trees = yaml.safe_load(Path("params.yaml").read_text())["trees"]

with mlflow.start_run():
    model = RandomForestClassifier(n_estimators=trees, random_state=0).fit(*read("train"))
    accuracy = model.score(*read("test"))
    mlflow.log_param("trees", trees)
    mlflow.log_metric("accuracy", accuracy)

Path("models").mkdir(exist_ok=True)
Path("models/forest.pkl").write_bytes(pickle.dumps(model))
Path("metrics.json").write_text(json.dumps({"accuracy": accuracy}) + "\n")
