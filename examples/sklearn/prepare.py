"""Split data/iris.csv into data/train.csv and data/test.csv."""

import random
from pathlib import Path

import yaml

share = yaml.safe_load(Path("params.yaml").read_text())["test_share"]
header, *flowers = Path("data/iris.csv").read_text().splitlines()
random.Random(0).shuffle(flowers)
cut = round(len(flowers) * share)
for name, part in (("test", flowers[:cut]), ("train", flowers[cut:])):
    Path(f"data/{name}.csv").write_text("\n".join([header, *part]) + "\n")
