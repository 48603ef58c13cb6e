"""A notebook is one process for days: every run carries the commit and the data of its moment."""

from __future__ import annotations

from pathlib import Path

import mlflow
import nbformat
import pytest
from conftest import Git
from nbclient import NotebookClient

RUN = "import mlflow\nwith mlflow.start_run() as run:\n    print(run.info.run_id)"
COMMIT = "!git commit -q --allow-empty -m second"
CHANGE = "open('data/train.csv', 'a').write('5,6\\n')\nimport time; time.sleep(1.5)"


def execute(folder: Path, *cells: str) -> list[str]:
    """Execute a notebook of these cells in ``folder`` and return what each prints."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}})
    client.execute()
    return [
        "".join(output.text for output in cell.outputs if output.get("name") == "stdout").strip()
        for cell in notebook.cells
    ]


@pytest.mark.slow
def test_a_commit_between_two_cells_shows_in_the_second_run(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    before = git("rev-parse", "HEAD")
    first, _, second, _, third = execute(repo, RUN, COMMIT, RUN, CHANGE, RUN)
    after = git("rev-parse", "HEAD")
    assert before != after
    tags = [mlflow.get_run(run_id).data.tags for run_id in (first, second, third)]
    assert [each["mlflow.source.git.commit"] for each in tags] == [before, after, after]
    assert [each["mlflow.source.git.branch"] for each in tags] == ["main"] * 3
    assert [each["dvc.status"] for each in tags] == ["clean", "clean", "modified"]
    assert tags[0]["dvc.hash"] == tags[1]["dvc.hash"] != tags[2]["dvc.hash"]
