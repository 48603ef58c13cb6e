"""A file in the form that DVC writes is read without PyYAML, and as PyYAML reads it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlflow_dvc_plugin.capture.broken import MetadataError
from mlflow_dvc_plugin.capture.yamlfile import parse
from mlflow_dvc_plugin.capture.yamlloader import load

_HASH = st.text("0123456789abcdef", min_size=31, max_size=33)
_PATH = st.text("aeEflnrstuTNy/._-~#:' 019", max_size=8) | st.sampled_from(["true", "Null", "yes"])


def _read(call: Any, given: Any) -> Any:
    try:
        return call(given)
    except MetadataError as error:
        return str(error)


@given(
    md5=_HASH, isdir=st.sampled_from(["", ".dir"]), size=st.text("0179_", max_size=4),
    nfiles=st.sampled_from(["", "  nfiles: 12\n", "  nfiles: 012\n"]), path=_PATH,
    end=st.sampled_from(["\n", "", "\r\n", "\n\n"]),
)  # fmt: skip
@example("0b" + "01" * 15, "", "1", "", "data", "\n")
@example("1e" + "01" * 15, "", "1", "", "data", "\n")
@example("12" * 16, "", "1", "", "data", "\n")
@example("ab" * 16, "", "1", "", "FALSE", "\n")
@example("ab" * 16, ".dir", "007", "  nfiles: 012\n", "a/b.csv", "\n")
def test_the_quick_reading_is_that_of_yaml(  # noqa: PLR0917
    md5: str, isdir: str, size: str, nfiles: str, path: str, end: str
) -> None:
    text = f"outs:\n- md5: {md5}{isdir}\n  size: {size}\n{nfiles}  hash: md5\n  path: {path}{end}"
    assert _read(parse, text.encode()) == _read(load, text)


@pytest.mark.parametrize(("name", "loads"), [("train.csv", False), ("'train.csv'", True)])
def test_only_other_forms_load_pyyaml(name: str, loads: bool) -> None:
    text = f"outs:\n- md5: {'ab' * 16}\n  size: 12\n  hash: md5\n  path: {name}\n"
    code = (
        "import sys; from mlflow_dvc_plugin.capture.yamlfile import parse;"
        f"parse({text.encode()!r}); print('yaml' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(loads)
