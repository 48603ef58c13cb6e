"""The changes between two lists of files turn the one into the other, whatever is in them."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from mlflow_dvc_plugin.lineage.datadiff import applied, changes

# Few names and few hashes: then files move, copies appear, and names swap their content.
NAMES = st.builds(
    "/".join, st.lists(st.sampled_from(["a", "b", "c.png", "é"]), min_size=1, max_size=3)
)
LISTINGS = st.dictionaries(NAMES, st.sampled_from(["0", "1", "2", "3"]), max_size=12)


@given(LISTINGS, LISTINGS)
def test_the_changes_applied_to_the_one_listing_give_the_other(
    first: dict[str, str], second: dict[str, str]
) -> None:
    assert applied(first, changes(first, second)) == second


@given(LISTINGS, LISTINGS)
def test_the_way_back_has_as_many_changes(first: dict[str, str], second: dict[str, str]) -> None:
    there, back = changes(first, second), changes(second, first)
    swapped = {"added": "removed", "removed": "added", "changed": "changed", "moved": "moved"}
    assert Counter(one.kind for one in there) == Counter(swapped[one.kind] for one in back)
    assert applied(second, back) == first


@given(LISTINGS, LISTINGS)
def test_every_path_is_in_one_change_at_most_and_none_says_what_is_not_so(
    first: dict[str, str], second: dict[str, str]
) -> None:
    found = changes(first, second)
    names = Counter(name for one in found for name in (one.path, one.was) if name)
    assert not names or max(names.values()) == 1
    for one in found:
        old = one.was or one.path
        assert (one.before, one.after) == (first.get(old), second.get(one.path))
        assert one.before != one.after or one.kind == "moved"
        if one.was:
            assert one.was not in second and one.path not in first and one.before == one.after
    touched = set(names)
    assert all(first[path] == second[path] for path in first if path not in touched)


@given(LISTINGS, LISTINGS)
def test_no_content_is_both_removed_and_added(
    first: dict[str, str], second: dict[str, str]
) -> None:
    found = changes(first, second)
    gone = {one.before for one in found if one.kind == "removed"}
    assert gone.isdisjoint(one.after for one in found if one.kind == "added")


@given(LISTINGS)
def test_a_listing_beside_itself_has_no_changes(first: dict[str, str]) -> None:
    assert changes(first, dict(reversed(first.items()))) == ()


def test_of_equal_files_the_one_that_keeps_its_last_name_has_moved() -> None:
    first = {"a/x": "1", "b/y": "1", "c/z": "1"}
    second = {"d/y": "1", "e/z": "1", "copy": "1"}
    moved = {one.path: one.was for one in changes(first, second)}
    assert moved == {"d/y": "b/y", "e/z": "c/z", "copy": "a/x"}


def test_twenty_thousand_empty_files_that_move_take_no_time() -> None:
    first = {f"old/{number}": "0" for number in range(20_000)}
    second = {f"new/{number}x": "0" for number in range(20_000)}
    assert {one.kind for one in changes(first, second)} == {"moved"}
