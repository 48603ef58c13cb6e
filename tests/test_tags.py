"""The tag contract: names, values and limits."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlflow_dvc_plugin.provenance import Code, Data, Output, OutputState, Provenance, State
from mlflow_dvc_plugin.tags import (
    FIXED_KEYS,
    data_hash,
    output_keys,
    public_url,
    to_tags,
)

HASH = "0123456789abcdef0123456789abcdef"
# Everything a file name or a YAML file can hold, lone surrogates included.
TEXT = st.text(st.characters(codec=None), min_size=1, max_size=60)
PATHS = st.lists(TEXT.filter(lambda text: "\0" not in text), unique=True, max_size=60)


def state(path: str, status: State = "clean", hash_: str | None = HASH) -> OutputState:
    return OutputState(Output(path, HASH, path + ".dvc"), status, hash_)


def tags_of(inputs: Sequence[OutputState], **fields: object) -> dict[str, str]:
    data = Data("/repo", "/repo", tuple(inputs), **fields)  # type: ignore[arg-type]
    return to_tags(Provenance(data=data))


def assert_within_limits(tags: dict[str, str]) -> None:
    assert len(tags) <= 50
    assert sum(len(key) + len(value.encode()) for key, value in tags.items()) <= 16_000
    for key, value in tags.items():
        assert type(value) is str
        assert 0 < len(value) <= 5000
        assert len(key) <= 250
        assert re.match(r"^[/\w.\- :]*$", key)
        assert posixpath.normpath(key) == key
        assert not re.search("[\0\n\r\ud800-\udfff]", value)
    assert not any(other.startswith(key + "/") for key in tags for other in tags)


@given(paths=PATHS, products=PATHS, missing=PATHS, branch=TEXT, stage=TEXT, url=TEXT, reason=TEXT)
@example(["x" * 4000 + str(n) for n in range(60)], ["y" * 6000], ["z"] * 1, "b", "s", "u", "r")
@example(["é" * 900 + str(n) for n in range(20)], [], [], "b", "s", "u", "r")
def test_no_repository_makes_a_tag_that_some_store_refuses(  # noqa: PLR0917
    paths: list[str], products: list[str], missing: list[str], branch: str, stage: str, url: str,
    reason: str,
) -> None:  # fmt: skip
    data = Data(
        "/r", "/r", tuple(map(state, paths)), tuple(map(state, products)),
        tuple(state(path, "missing", None) for path in missing), {reason: reason}, remote=url,
    )  # fmt: skip
    code = Code("/r", "a" * 40, branch, True, (), None, 3, url)
    assert_within_limits(to_tags(Provenance(code, data, stage, stage)))


@given(PATHS)
def test_every_output_key_stands_for_one_path(paths: list[str]) -> None:
    keys = output_keys(paths)
    assert len({key.lower() for key in keys.values()}) == len(keys)
    assert not set(keys.values()) & FIXED_KEYS


def test_colliding_keys_all_get_the_start_of_their_paths_md5() -> None:
    def short(path: str) -> str:
        return hashlib.md5(path.encode()).hexdigest()[:4]

    assert output_keys(
        [
            "Data.csv",
            "data.csv",
            "Hash",
            "a/b",
            "a.b",
            "c d",
            "hash",
            "manifest/1",
            "manifest/x",
            "x",
        ]
    ) == {
        "Data.csv": f"dvc.Data.csv_{short('Data.csv')}",
        "data.csv": f"dvc.data.csv_{short('data.csv')}",
        "Hash": f"dvc.Hash_{short('Hash')}",
        "a/b": f"dvc.a.b_{short('a/b')}",
        "a.b": f"dvc.a.b_{short('a.b')}",
        "c d": "dvc.c_d",
        "hash": f"dvc.hash_{short('hash')}",
        "manifest/1": f"dvc.manifest.1_{short('manifest/1')}",
        "manifest/x": "dvc.manifest.x",
        "x": "dvc.x",
    }


def test_the_data_hash_is_the_md5_of_sorted_lines() -> None:
    lines = b"a\0" + HASH.encode() + b"\nb\xff\0" + b"1" * 32 + b"\n"
    assert data_hash({"b\udcff": "1" * 32, "a": HASH}) == hashlib.md5(lines).hexdigest()


def test_a_clean_input_is_in_every_place() -> None:
    tags = tags_of([state("data/train.csv")])
    assert tags == {
        "dvc.data.train.csv": HASH,
        "dvc.hash": data_hash({"data/train.csv": HASH}),
        "dvc.manifest": json.dumps({"data/train.csv": HASH}, separators=(",", ":")),
        "dvc.schema": "1",
        "dvc.source": "live",
        "dvc.status": "clean",
    }


def test_a_modified_input_is_stated_with_the_hash_of_its_bytes() -> None:
    tags = tags_of([state("a", "modified", "f" * 32), state("b")])
    assert tags["dvc.status"] == "modified"
    assert tags["dvc.changed"] == '["a"]'
    assert tags["dvc.a"] == "f" * 32
    assert tags["dvc.hash"] == data_hash({"a": "f" * 32, "b": HASH})


def test_what_is_unknown_has_no_hash_and_takes_the_data_hash_away() -> None:
    tags = tags_of([state("a", "unknown", None), state("b")])
    assert tags["dvc.status"] == "unknown"
    assert tags["dvc.changed"] == '["a"]'
    assert "dvc.a" not in tags
    assert "dvc.hash" not in tags
    assert json.loads(tags["dvc.manifest"]) == {"b": HASH}


def test_a_broken_metadata_file_makes_the_data_unknown_and_is_named() -> None:
    tags = tags_of([state("b")], unread={"a.dvc": "conflict markers"})
    assert tags["dvc.status"] == "unknown"
    assert json.loads(tags["dvc.changed"]) == ["a.dvc"]
    assert "dvc.hash" not in tags
    assert tags["dvc.b"] == HASH


def test_modified_is_worse_than_unknown() -> None:
    assert (
        tags_of([state("a", "unknown", None), state("b", "modified")])["dvc.status"] == "modified"
    )


def test_missing_outputs_are_in_no_hash_and_no_status() -> None:
    tags = tags_of([state("b")], missing=(state("a", "missing", None),))
    assert json.loads(tags["dvc.missing"]) == ["a"]
    assert tags["dvc.status"] == "clean"
    nothing = tags_of([], missing=(state("a", "missing", None),))
    assert "dvc.status" not in nothing
    assert "dvc.hash" not in nothing


def test_at_most_twenty_outputs_get_a_tag_in_the_order_of_their_paths() -> None:
    tags = tags_of([state(f"d{number:03}") for number in range(30)])
    own = sorted(key for key in tags if re.match(r"dvc\.d\d+$", key))
    assert own == [f"dvc.d{number:03}" for number in range(20)]
    assert len(json.loads(tags["dvc.manifest"])) == 30


def test_a_manifest_over_one_value_is_cut_between_entries() -> None:
    paths = [f"data/some/folder/{number:04}.csv" for number in range(140)]
    tags = tags_of(list(map(state, paths)))
    chunks = {key: json.loads(value) for key, value in tags.items() if "manifest" in key}
    assert list(chunks) == ["dvc.manifest.1", "dvc.manifest.2"]
    assert list(chunks["dvc.manifest.1"] | chunks["dvc.manifest.2"]) == paths


def test_a_manifest_over_the_total_is_replaced_by_its_count() -> None:
    tags = tags_of([state(f"data/some/folder/{number:04}.csv") for number in range(2000)])
    assert tags["dvc.manifest.count"] == "2000"
    assert not any(key.startswith("dvc.manifest") and key != "dvc.manifest.count" for key in tags)
    assert tags["dvc.hash"]


def test_products_are_the_first_to_go() -> None:
    products = tuple(state(f"models/{number:03}.bin") for number in range(90))
    few = tags_of([state("a")], products=products)
    assert len(json.loads(few["dvc.products"])) == 90
    paths = ["d/" + "x" * 150 + f"{number:02}" for number in range(45)]
    many = tags_of(list(map(state, paths)), products=products)
    assert "dvc.products" not in many
    assert sum(key.startswith("dvc.d.") for key in many) == 20


def test_a_long_list_of_paths_is_capped_and_says_so() -> None:
    missing = tuple(state(f"data/{number:05}.csv", "missing", None) for number in range(5000))
    listed = json.loads(tags_of([state("a")], missing=missing)["dvc.missing"])
    assert listed[0] == "data/00000.csv"
    assert listed[-1] == f"... and {5000 - (len(listed) - 1)} more"


def test_code_tags_are_mlflows_own_keys_and_a_visible_flag() -> None:
    code = Code("/r", "c" * 40, "main", False, (), "d" * 40, 2, "https://u:p@host/team/repo?x=1")
    assert to_tags(Provenance(code)) == {
        "mlflow.source.git.commit": "c" * 40,
        "mlflow.source.git.branch": "main",
        "mlflow.source.git.repoURL": "https://host/team/repo",
        "mlflow.source.git.dirty": "false",
        "git.dirty": "false",
        "git.tree": "d" * 40,
        "git.untracked": "2",
        "dvc.schema": "1",
        "dvc.source": "live",
    }
    unknown = to_tags(Provenance(Code("/r", "c" * 40)))
    assert unknown["git.dirty"] == unknown["mlflow.source.git.dirty"] == "unknown"


def test_nothing_known_is_no_tag_at_all() -> None:
    assert to_tags(Provenance()) == {}


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://user:token@host.org:8443/a/b.git", "https://host.org:8443/a/b.git"),
        ("https://token@host.org/a?access_token=1#x", "https://host.org/a"),
        ("ssh://git@host.org:22/a.git", "ssh://host.org:22/a.git"),
        ("git@host.org:team/repo.git", "git@host.org:team/repo.git"),
        ("user:secret@host.org:team/repo", "host.org:team/repo"),
        ("s3://bucket/dvc", "s3://bucket/dvc"),
        ("azure://container/path?sv=sig", "azure://container/path"),
        ("hdfs:///path", "hdfs:///path"),
        ("/srv/store", "/srv/store"),
        ("../store", "../store"),
        ("https://[broken", "https://[broken"),
        ("hg::https://user:s3cret@host/repo", "unknown"),
        ("ghp_TOKEN@github.com:org/repo", "github.com:org/repo"),
        ("alice@host:/srv", "host:/srv"),
        ("https://user:12/w@host/path", "unknown"),
        ("//user:pw@host/p", "unknown"),
        ("https://proxy/https://u:pw@h/x", "unknown"),
        ("user:tok@host:x/https://y", "unknown"),
        ("https://host/a;token=abc", "https://host/a"),
        ("/srv/data@2/store", "/srv/data@2/store"),
        ("https://user:pa/ss@host.org/a", "unknown"),
        ("https://user:p@ss@host.org/a", "https://host.org/a"),
    ],
)
def test_no_url_leaves_with_a_secret(url: str, public: str) -> None:
    assert public_url(url) == public
