"""Every form of metadata, each beside DVC's own reading of it."""

from __future__ import annotations

import pytest

from mlflow_dvc_plugin.provenance import Output, Stage

from .conftest import STAGE, A, B, C, Write, lock, only, same_as_dvc, write

FORMS: dict[str, tuple[str, Output]] = {
    "DVC 3": (
        f"outs:\n- md5: {A}\n  size: 3\n  hash: md5\n  path: x\n",
        Output("x", A, "x.dvc", size=3),
    ),
    "DVC 2": (
        f"outs:\n- md5: {A}\n  size: 3\n  path: x\n",
        Output("x", A, "x.dvc", scheme="md5-dos2unix", size=3),
    ),
    "directory": (
        f"outs:\n- md5: {A}.dir\n  size: 9\n  nfiles: 2\n  hash: md5\n  path: x\n",
        Output("x", f"{A}.dir", "x.dvc", isdir=True, size=9, nfiles=2),
    ),
    "wdir": (
        f"wdir: ../up\nouts:\n- {{md5: {A}, hash: md5, path: x}}\n".replace("../up", "up/er"),
        Output("up/er/x", A, "x.dvc"),
    ),
    "stage checksum at the top": (
        f"md5: {B}\nfrozen: true\ndeps:\n- {{path: y, repo: {{url: u, rev_lock: {C}}}}}\n"
        f"outs:\n- {{md5: {A}, hash: md5, path: x}}\n",
        Output("x", A, "x.dvc"),
    ),
    "URL import": (
        "frozen: true\ndeps:\n- {etag: abc, size: 3, path: s3://b/x}\n"
        f"outs:\n- {{md5: {A}, hash: md5, path: x}}\n",
        Output("x", A, "x.dvc"),
    ),
    "no download": (
        "frozen: true\ndeps:\n- {checksum: abc, size: 3, hash: md5, path: 'https://h/x'}\n"
        "outs:\n- {hash: md5, path: x}\n",
        Output("x", None, "x.dvc"),
    ),
    "cloud-versioned file": (
        f"outs:\n- md5: {A}\n  size: 3\n  hash: md5\n  path: x\n"
        "  cloud:\n    store: {etag: abc, version_id: v1}\n",
        Output("x", A, "x.dvc", size=3, remote="store", version_id="v1"),
    ),
    "settings": (
        f"outs:\n- {{md5: {A}, hash: md5, path: x, cache: false, push: false, persist: true, "
        "remote: r, type: model, desc: d, labels: [l], meta: {k: 1}}\n",
        Output("x", A, "x.dvc", cache=False, push=False, type="model", remote="r"),
    ),
    "external with etag": (
        "outs:\n- {etag: '\"AbC\"', size: 3, path: s3://bucket/x, cache: false}\n",
        Output("s3://bucket/x", '"AbC"', "x.dvc", scheme="etag", size=3, cache=False),
    ),
    "external with checksum": (
        "outs:\n- {checksum: abc, path: 'https://h/x'}\n",
        Output("https://h/x", "abc", "x.dvc", scheme="checksum"),
    ),
    "outside the toplevel": (
        f"outs:\n- {{md5: {A}, path: /nowhere/x}}\n",
        Output("/nowhere/x", A, "x.dvc"),
    ),
    "empty hash": ("outs:\n- {md5: '', path: x}\n", Output("x", None, "x.dvc")),
    "upper case": (
        f"outs:\n- {{md5: {'A' * 32}, hash: md5, path: x}}\n",
        Output("x", "A" * 32, "x.dvc"),
    ),
    "YAML 1.2 text": (
        f"outs:\n- {{md5: {A}, hash: md5, path: yes, desc: on}}\n",
        Output("yes", A, "x.dvc"),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_dvc_file_is_read_as_dvc_reads_it(make: Write, form: str) -> None:
    text, expected = FORMS[form]
    root = make({"x.dvc": text})
    assert only(same_as_dvc(root)) == expected


def test_an_absolute_path_into_the_repository_becomes_relative(make: Write) -> None:
    root = make({})
    write(root, {"sub/x.dvc": f"outs:\n- {{md5: {A}, path: {root}/data/x}}\n"})
    assert only(same_as_dvc(root)) == Output("data/x", A, "sub/x.dvc", scheme="md5-dos2unix")


def test_a_directory_listed_file_by_file_has_the_hash_that_dvc_computes(make: Write) -> None:
    listed = "\n".join(
        f"  - {{relpath: {name}, md5: {value}, size: 2, cloud: {{st: {{version_id: v}}}}}}"
        for name, value in (("b/ü", B), ("a", A), ("a.txt", C))
    )
    root = make({"x.dvc": f"outs:\n- path: x\n  hash: md5\n  files:\n{listed}\n"})
    output = only(same_as_dvc(root))
    assert (output.isdir, output.size, output.nfiles, output.remote) == (True, 6, 3, "st")
    assert output.hash and output.hash.endswith(".dir")
    assert output.scheme == "md5"


def test_outputs_of_every_stage_kind_carry_their_settings(make: Write) -> None:
    text = STAGE + (
        "    wdir: w\n    deps: [d, s3://b/d]\n"
        "    outs:\n    - a\n    - b: {cache: false, push: false, persist: true, remote: r}\n"
        "    - m: {type: model}\n    metrics: [me.json]\n"
        "    plots:\n    - p.csv: {cache: false, x: a}\n"
        "artifacts:\n  best: {path: w/m, type: model}\n  x: {path: other}\n"
    )
    root = make({"p/dvc.yaml": text, "p/dvc.lock": lock("a"), "p/w/d": "1"})
    found = same_as_dvc(root)
    by_path = {out.path: out for out in found.outputs}
    source, name = "p/dvc.yaml", "s"
    assert by_path == {
        "p/w/a": Output("p/w/a", A, source, stage=name, size=1),
        "p/w/b": Output("p/w/b", None, source, stage=name, cache=False, push=False, remote="r"),
        "p/w/m": Output("p/w/m", None, source, stage=name, type="model"),
        "p/w/me.json": Output("p/w/me.json", None, source, stage=name, metric=True),
        "p/w/p.csv": Output("p/w/p.csv", None, source, stage=name, cache=False, plot=True),
    }
    paths = tuple(out.path for out in found.outputs)
    assert found.stages == (Stage("s", "p/dvc.yaml", "p/w", ("p/w/d", "s3://b/d"), paths),)
    assert found.artifacts == {"p/w/m": "model", "p/other": None}


def test_a_lock_of_dvc_2_names_its_hash_scheme(make: Write) -> None:
    root = make({"dvc.yaml": STAGE + "    outs: [a]\n", "dvc.lock": lock("a", new=False)})
    assert only(same_as_dvc(root)).scheme == "md5-dos2unix"


def test_a_path_written_differently_in_the_lock_has_no_hash(make: Write) -> None:
    root = make({"dvc.yaml": STAGE + "    outs: [./a]\n", "dvc.lock": lock("a")})
    assert only(same_as_dvc(root)).hash is None


def test_top_level_metrics_and_plots_mark_the_outputs_they_name(make: Write) -> None:
    text = STAGE + "    outs: [m.json, p.csv, q.csv]\nmetrics: [m.json]\nplots:\n- p.csv: {y: a}\n"
    root = make({"dvc.yaml": text + "- curve: {y: {q.csv: a}}\n"})
    found = same_as_dvc(root)
    assert [(out.metric, out.plot) for out in found.outputs] == [
        (True, False), (False, True), (False, True),
    ]  # fmt: skip


TEMPLATED = """\
vars: [v.yaml, {own: in}]
stages:
  each:
    foreach: ${models}
    do: {cmd: x, wdir: sub, outs: ["${item}.pkl"]}
  grid:
    matrix: {a: [1, 2], b: "${models}"}
    cmd: x ${item.a}
    deps: ["${own}/d"]
    outs: ["out/${key}"]
  one: {cmd: x, wdir: "${deep.dir}", outs: [o]}
artifacts:
  best: {path: "${deep.dir}/o", type: model}
"""


def test_templating_is_resolved_by_dvc(make: Write) -> None:
    root = make({
        "p/dvc.yaml": TEMPLATED,
        "p/v.yaml": "models: [u, v]\n",
        "p/params.yaml": "deep: {dir: there}\n",
        "p/dvc.lock": lock("u.pkl", name="each@u"),
    })  # fmt: skip
    found = same_as_dvc(root)
    assert {out.path for out in found.outputs} == {
        "p/sub/u.pkl", "p/sub/v.pkl", "p/there/o",
        "p/out/1-u", "p/out/1-v", "p/out/2-u", "p/out/2-v",
    }  # fmt: skip
    assert found.outputs[0].hash == A
    assert [stage.name for stage in found.stages][:3] == ["each@u", "each@v", "grid@1-u"]
    assert found.stages[2].deps == ("p/in/d",)
    assert found.artifacts == {"p/there/o": "model"}


def test_a_path_that_leaves_the_repository_and_comes_back_is_inside(make: Write) -> None:
    root = make({})
    write(root, {"x.dvc": f"wdir: ..\nouts:\n- {{md5: {A}, hash: md5, path: {root.name}/x}}\n"})
    assert only(same_as_dvc(root)) == Output("x", A, "x.dvc")
