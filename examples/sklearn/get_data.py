"""Write scikit-learn's iris flowers to data/iris.csv."""

from pathlib import Path

from sklearn.datasets import load_iris

iris = load_iris()
lines = ["sepal_length,sepal_width,petal_length,petal_width,species"]
for flower, species in zip(iris.data.tolist(), iris.target.tolist(), strict=True):
    lines.append(",".join(map(str, [*flower, species])))
Path("data").mkdir(exist_ok=True)
Path("data/iris.csv").write_text("\n".join(lines) + "\n")
