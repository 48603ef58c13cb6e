"""The outputs of two sides, whatever is in them: nothing is said that is not so."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from mlflow_dvc_plugin.lineage.dataside import Side
from mlflow_dvc_plugin.lineage.needs import Need
from mlflow_dvc_plugin.lineage.outputdiff import DataDiff, data_diff

HASHES = st.sampled_from(["0" * 32, "1" * 32, "2" * 32 + ".dir", "etag"])
PATHS = st.sampled_from(["a", "b", "c/d", "c/e", "f.csv"])
HELD = st.dictionaries(PATHS, st.tuples(HASHES, st.booleans()))


def side(held: dict[str, tuple[str, bool]], **more: object) -> Side:
    needs = {path: Need(path, value, product=product) for path, (value, product) in held.items()}
    return Side(needs, stated={}, **more)  # type: ignore[arg-type]


def hashes(one: Side) -> dict[str, str]:
    return {path: need.hash for path, need in one.needs.items()}


@given(HELD, HELD)
def test_what_differs_applied_to_the_one_side_gives_the_other(
    first: dict[str, tuple[str, bool]], second: dict[str, tuple[str, bool]]
) -> None:
    one, other = side(first), side(second)
    found = data_diff(one, other, everything=True)
    result = hashes(one)
    for change in found.outputs:
        assert change.kind != "unknown"
        result.pop(change.was or change.path, None)
    result.update({change.path: change.after for change in found.outputs if change.after})
    assert result == hashes(other)
    unchanged = sum(hashes(other).get(path) == value for path, value in hashes(one).items())
    assert found.equal == unchanged
    assert found.same is (hashes(one) == hashes(other))


@given(HELD, HELD)
def test_only_inputs_of_one_side_count_by_default(
    first: dict[str, tuple[str, bool]], second: dict[str, tuple[str, bool]]
) -> None:
    found = data_diff(side(first), side(second))
    inputs = {path for held in (first, second) for path, (_, product) in held.items()
              if not product}  # fmt: skip
    named = {name for one in found.outputs for name in (one.path, one.was) if name}
    assert named <= inputs and found.equal <= len(inputs)


@given(HELD, HELD, st.dictionaries(PATHS, st.just("not hashed")), st.sampled_from(["", "a gap"]))
def test_what_is_not_known_is_never_the_same_and_never_removed(
    first: dict[str, tuple[str, bool]], second: dict[str, tuple[str, bool]],
    unknown: dict[str, str], gap: str,
) -> None:  # fmt: skip
    found = data_diff(side(first), side(second, unknown=unknown, gap=gap), everything=True)
    if gap or unknown.keys() - second.keys():
        assert found.same is not True
    for one in found.outputs:
        if one.kind in ("removed", "moved"):
            assert not gap and (one.was or one.path) not in unknown


def test_five_thousand_outputs_that_are_all_others_take_no_time() -> None:
    first = side({f"old/{number}.csv": ("0" * 32, False) for number in range(5000)})
    second = side({f"new/{number}.csv": (f"{number:032}", False) for number in range(5000)})
    begun = time.monotonic()
    assert len(data_diff(first, second).outputs) > 9000
    assert time.monotonic() - begun < 5
    assert data_diff(first, first) == DataDiff(equal=5000)
