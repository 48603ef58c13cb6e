"""What differs between two listings, told from their bytes."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_dvc_plugin.capture.hashing import directory_listing
from mlflow_dvc_plugin.sync import rows
from mlflow_dvc_plugin.sync.rows import differing, rows_of

HASHES = [hashlib.md5(bytes([number])).hexdigest() for number in range(3)]
# What a listing is made of may stand in a name, too.
PIECES = ['"', "\\", '}, {"md5": "', '", "relpath": "', "é", "\n", "a", "b", "]", "\U0001f600"]
NAMES = st.lists(st.sampled_from(PIECES), min_size=1, max_size=3).map("".join)
LISTINGS = st.dictionaries(NAMES, st.sampled_from(HASHES), max_size=6)


@given(LISTINGS, LISTINGS)
def test_it_is_what_both_lists_would_tell(one: dict[str, str], other: dict[str, str]) -> None:
    first, second = directory_listing(one.items()), directory_listing(other.items())
    found = differing(first, second)
    assert found is not None
    assert found[0] == dict(one.items() - other.items())
    assert found[1] == dict(other.items() - one.items())


@given(LISTINGS, st.sampled_from([1, 2, 8, rows._BLOCK]), st.data())
def test_other_hashes_of_the_same_files(
    one: dict[str, str], block: int, data: st.DataObject
) -> None:
    other = {name: data.draw(st.sampled_from(HASHES)) for name in one}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "_BLOCK", block)
        found = differing(directory_listing(one.items()), directory_listing(other.items()))
    assert found == (dict(one.items() - other.items()), dict(other.items() - one.items()))


@given(st.integers(1, 2000), st.data())
def test_some_of_many_files(count: int, data: st.DataObject) -> None:
    """Their listings are longer than what is compared at once."""
    one = {f"image{number:06}": HASHES[0] for number in range(count)}
    changed = data.draw(st.sets(st.sampled_from(sorted(one)), max_size=5))
    other = {**one, **dict.fromkeys(changed, HASHES[1])}
    found = differing(directory_listing(one.items()), directory_listing(other.items()))
    assert found == (dict.fromkeys(changed, HASHES[0]), dict.fromkeys(changed, HASHES[1]))


@given(LISTINGS, st.integers(0, 500), st.sampled_from(["{", "0", "a", '"', ",", " ", "]"]))
def test_a_byte_that_is_another_one_is_never_taken_for_another_list(
    one: dict[str, str], place: int, byte: str
) -> None:
    text = directory_listing(one.items())
    place = min(place, len(text) - 1)
    other = text[:place] + byte.encode() + text[place + 1 :]
    found = differing(text, other)
    try:
        told = rows_of(other, hashlib.md5(other).hexdigest() + ".dir")
    except ValueError:
        assert found is None
        return
    if found is not None:
        assert found == (dict(one.items() - told.items()), dict(told.items() - one.items()))


@pytest.mark.parametrize("written", [
    '[{"relpath": "a", "md5": "%s"}]', '[ {"md5": "%s", "relpath": "a"}]',
    '[{"md5":"%s","relpath":"a"}]', '{"md5": "%s", "relpath": "a"}', "[]]", "",
    '[{"md5": "%s", "relpath": "a"}, {"relpath": "b", "md5": "%s"}]',
])  # fmt: skip
def test_nothing_is_told_of_a_list_that_is_written_otherwise(written: str) -> None:
    text = written.replace("%s", HASHES[0]).encode()
    dvcs = directory_listing([("a", HASHES[1]), ("c", HASHES[1])])
    assert differing(text, dvcs) is None
    assert differing(dvcs, text) is None


def test_a_path_that_is_there_twice_is_left_to_the_whole_list() -> None:
    once = directory_listing([("a", HASHES[0])])
    for hashes in ((HASHES[1], HASHES[2]), (HASHES[1], HASHES[1])):
        twice = directory_listing([("a", value) for value in hashes])
        assert differing(once, twice) is None
        assert differing(twice, once) is None


@pytest.mark.parametrize("after", [
    '[{"md5": "%s", "relpath": "a", "x": [0, {"md5": "%s", "relpath": "b"}, {"md5": "%s",'
    ' "relpath": "q"}]},{"md5":"%s","relpath":"z"}, {"md5": "%s", "relpath": "c"}]',
    '[{"md5": "%s", "relpath": "a"}, {"md5": "%s", "relpath": "a"},{"md5":"%s","relpath":"z"},'
    ' {"md5": "%s", "relpath": "c"}]',
    '[{"md5": "%s", "relpath": "a", "isexec": true}]',
    '[{"md5": "%s", "relpath": "\\u0061"}]',
])  # fmt: skip
def test_a_row_with_more_in_it_is_left_to_the_whole_list(after: str) -> None:
    """One that is inside another, and one that is joined on as DVC does not, hide each other."""
    before = directory_listing([(name, HASHES[0]) for name in "abc"])
    text = after.replace("%s", HASHES[1]).encode()
    json.loads(text)
    assert differing(before, text) is None
    assert differing(text, before) is None


@pytest.mark.parametrize("name", ["../a", "/a", ".git/hooks/pre-commit", "a//b", "a\0b"])
def test_a_new_row_that_leads_out_is_refused(name: str) -> None:
    before = directory_listing([("b", HASHES[0])])
    after = directory_listing([("b", HASHES[0]), (name, HASHES[1])])
    assert differing(before, after) is None
    with pytest.raises(ValueError, match="outside"):
        rows_of(after, hashlib.md5(after).hexdigest() + ".dir")


@pytest.mark.parametrize("value", ["", "0" * 31, "g" * 32, None, 7])
def test_a_new_row_without_a_hash_is_refused(value: object) -> None:
    before = directory_listing([("b", HASHES[0])])
    listed = [{"md5": HASHES[0], "relpath": "b"}, {"md5": value, "relpath": "c"}]
    text = json.dumps(listed).encode()
    assert differing(before, text) is None
    with pytest.raises(ValueError, match="no hash" if isinstance(value, str) else "no list"):
        rows_of(text, hashlib.md5(text).hexdigest() + ".dir")
