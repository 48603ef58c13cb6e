"""Split data/iris.csv into prepared/train.csv and prepared/test.csv."""

from pathlib import Path

import yaml

share = yaml.safe_load(Path("params.yaml").read_text())["test_share"]
header, *flowers = Path("data/iris.csv").read_text().splitlines()
step = round(1 / share)
Path("prepared").mkdir(exist_ok=True)
for name, wanted in (("test", True), ("train", False)):
    part = [flower for row, flower in enumerate(flowers) if (row % step == 0) is wanted]
    Path(f"prepared/{name}.csv").write_text("\n".join([header, *part]) + "\n")
