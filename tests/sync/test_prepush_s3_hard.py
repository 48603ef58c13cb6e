"""pre-push to S3 where it is hard: permissions, cut connections, many objects, a terminal."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import md5
from pathlib import Path

import pytest
from conftest import Git
from s3proxy import Proxy
from s3users import Guarded

from mlflow_dvc_plugin.dvcrepo.remote import open_store
from mlflow_dvc_plugin.storage import Found, look_up
from sync.conftest import Commit, Push, UseS3, on_terminal, stored

AsUser = Callable[..., str]
BIG = "0123456789\n" * 30_000


def names(begin: int, end: int) -> list[str]:
    """Return the hashes of some numbers."""
    return [md5(b"%d" % number).hexdigest() for number in range(begin, end)]


def put(bucket: Path, objects: list[str]) -> None:
    """Make objects in the bucket's folder."""
    for name in objects:
        file = bucket / "dvc/files/md5" / name[:2] / name[2:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def look(repo: Path, wanted: list[str]) -> tuple[Found, int]:
    """Ask the project's remote; return what it says, and how many answers were reported."""
    answers: list[None] = []
    remote = open_store(str(repo)).remote("far")
    return look_up(remote, wanted, False, lambda: answers.append(None)), len(answers)


@pytest.fixture
def as_user(guarded_server: Guarded, use_s3: UseS3) -> AsUser:
    """Make a bucket of the server with permissions the project's remote, as one of its users."""

    def use(user: str, **settings: str) -> str:
        name = guarded_server.new_bucket()
        key, secret = guarded_server.keys[user]
        use_s3(
            url=f"s3://{name}/dvc", endpointurl=guarded_server.url, access_key_id=key,
            secret_access_key=secret, **settings,
        )  # fmt: skip
        return name

    return use


@pytest.fixture
def proxied(proxy: Proxy, use_s3: UseS3) -> Proxy:
    """Make a bucket behind the proxy the project's remote."""
    use_s3(endpointurl=proxy.url)
    return proxy


# ---- permissions ----


@pytest.mark.parametrize("user", ["nobody", "writer"])
def test_a_remote_that_may_not_be_asked_is_unknown_and_the_push_goes_on(
    push: Push, as_user: AsUser, guarded_server: Guarded, user: str
) -> None:
    bucket = as_user(user)
    done = push()
    assert done.code == 0, done.err
    assert "warning: DVC remote 'far' does not say whether it has 2 of the objects" in done.err
    assert "(403 Forbidden): unknown, not uploaded" in done.err
    assert "new branch" in done.err
    assert "error" not in done.err
    assert guarded_server.names(bucket) == set()


def test_who_may_not_list_asks_one_by_one(
    repo: Path, push: Push, as_user: AsUser, guarded_server: Guarded, commit_data: Commit
) -> None:
    bucket = as_user("reader")
    done = push()
    assert done.code == 0, done.err
    assert "5 objects uploaded to DVC remote 'far'" in done.err
    commit_data("data/train.csv", "second\n")
    assert "1 object uploaded" in push().err
    assert guarded_server.names(bucket) == stored(repo / ".dvc/cache")


def test_who_may_not_list_gets_right_answers_for_many_objects(
    repo: Path, as_user: AsUser, guarded_server: Guarded
) -> None:
    bucket = as_user("reader")
    for name in names(0, 80):
        key = f"dvc/files/md5/{name[:2]}/{name[2:]}"
        guarded_server.client.put_object(Bucket=bucket, Key=key, Body=b"")
    found, answers = look(repo, names(0, 160))
    assert found == Found(set(names(0, 80)), set(names(80, 160)))
    assert answers == 160


def test_a_bucket_that_keeps_versions_is_never_written_to(
    repo: Path, git: Git, push: Push, as_user: AsUser, guarded_server: Guarded
) -> None:
    bucket = as_user("admin", version_aware="true")
    enabled = {"Status": "Enabled"}
    client = guarded_server.client
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=enabled)
    client.put_object(Bucket=bucket, Key="dvc/data/train.csv", Body=b"theirs")
    git("commit", "--quiet", "--all", "--message", "remote", cwd=repo)
    done = push()
    assert done.code == 0, done.err
    assert done.err.count("DVC remote 'far' keeps versions of files") == 1
    versions = client.list_object_versions(Bucket=bucket)["Versions"]
    assert [item["Key"] for item in versions] == ["dvc/data/train.csv"]
    assert git("status", "--porcelain", cwd=repo) == ""


# ---- a connection that breaks ----


@pytest.mark.slow
def test_a_connection_cut_in_an_upload_stops_the_push_and_the_next_one_goes_on(
    repo: Path, push: Push, bucket: Path, proxied: Proxy, commit_data: Commit
) -> None:
    commit_data("data/big.csv", BIG)
    here = stored(repo / ".dvc/cache")
    proxied.cut = len(BIG) // 2
    done = push()
    assert done.code != 0
    assert proxied.cuts
    assert "error: DVC remote 'far'" in done.err
    assert "1 of 5 objects did not arrive" in done.err
    assert "Traceback" not in done.err
    assert "new branch" not in done.err
    assert stored(repo / ".dvc/cache") == here
    big = md5(BIG.encode()).hexdigest()
    there = stored(bucket / "dvc")
    assert there == {name for name in here if name != big and not name.endswith(".dir")}
    proxied.cut = None
    proxied.forget()
    done = push()
    assert done.code == 0, done.err
    assert "2 objects uploaded" in done.err
    assert proxied.count("PUT") == 2
    assert stored(bucket / "dvc") == here
    assert (bucket / "dvc/files/md5" / big[:2] / big[2:]).read_text() == BIG


# ---- how often it asks ----


def test_many_commits_over_the_same_data_ask_for_each_object_once(
    repo: Path, git: Git, push: Push, bucket: Path, proxied: Proxy
) -> None:
    put(bucket, ["0" * 32, "f" * 32])  # a listing of all there is would answer everything
    text = (repo / "data/train.csv.dvc").read_text()
    (repo / "data/.gitignore").write_text("*.csv\nimages\n")
    for number in range(30):
        (repo / f"data/{number}.csv.dvc").write_text(text.replace("train", str(number)))
        git("add", "--all", cwd=repo)
        git("commit", "--quiet", "--message", f"copy {number}", cwd=repo)
    done = push()
    assert done.code == 0, done.err
    # The first file, the directory, and its three files, as the directory is not there.
    assert (proxied.count("HEAD"), proxied.count("PUT"), len(proxied.pages)) == (5, 5, 2)
    assert max(proxied.asked[key] for key in proxied.asked if key[0] == "HEAD") == 1
    proxied.forget()
    done = push("origin", "main:again")
    assert (done.code, sum(proxied.asked.values())) == (0, 0), done.err


@pytest.mark.parametrize(("there", "pages"), [(2500, 3), (4500, 6)], ids=["one", "two parts"])
def test_many_objects_are_found_in_the_pages_of_a_listing(
    repo: Path, bucket: Path, proxied: Proxy, there: int, pages: int
) -> None:
    put(bucket, names(0, there))
    here, away = names(0, there - 500), names(there + 500, there + 1000)
    found, answers = look(repo, here + away)
    assert found == Found(set(here), set(away))
    assert (proxied.pages, proxied.count("HEAD"), answers) == ([1000] * pages, 0, there)


def test_a_server_that_cannot_go_on_with_a_listing_is_asked_one_by_one(
    repo: Path, bucket: Path, proxied: Proxy
) -> None:
    proxied.one_page = True
    put(bucket, names(0, 1100))
    found, answers = look(repo, names(1000, 1200))
    assert found == Found(set(names(1000, 1100)), set(names(1100, 1200)))
    assert answers == 200


@pytest.mark.parametrize(("begin", "wanted"), [(2400, 200), (1190, 63)])
def test_a_listing_that_decides_little_is_left_for_single_questions(
    repo: Path, bucket: Path, proxied: Proxy, begin: int, wanted: int
) -> None:
    put(bucket, names(0, begin + wanted // 2))
    asked = names(begin, begin + wanted)
    found, answers = look(repo, asked)
    assert found == Found(set(asked[: wanted // 2]), set(asked[wanted // 2 :]))
    assert answers == wanted
    assert len(proxied.pages) + proxied.count("HEAD") <= wanted + 1


# ---- a terminal ----


def test_a_terminal_shows_progress_and_nothing_else_does(
    repo: Path, origin: Path, push: Push, use_s3: UseS3, commit_data: Commit
) -> None:
    use_s3()
    code, shown = on_terminal(repo)
    assert code == 0, shown
    assert "\rmlflow-dvc: looking for objects: 2/2\r\n" in shown
    assert "\rmlflow-dvc: uploading objects: 5/5\r\n" in shown
    commit_data("data/train.csv", "second\n")
    done = push()
    assert (done.code, "1 object uploaded" in done.err) == (0, True), done.err
    assert "\rmlflow-dvc" not in done.err
    assert "objects:" not in done.err.replace("Counting objects:", "")


def test_an_upload_that_is_refused_is_named_on_a_line_of_its_own(
    repo: Path, origin: Path, as_user: AsUser, guarded_server: Guarded
) -> None:
    bucket = as_user("looker")
    code, shown = on_terminal(repo)
    assert code != 0
    assert "uploading objects: " in shown
    assert f"\nerror: DVC remote 'far' (s3: {bucket}/dvc): Access Denied" in shown
    assert "4 of 4 objects did not arrive" in shown
    assert "\nhint: dvc remote modify --local far access_key_id" in shown
    assert guarded_server.names(bucket) == set()


def test_directories_that_stay_behind_leave_no_line_unfinished(
    repo: Path, origin: Path, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_s3()
    name = md5(b"picture of a fox\n").hexdigest()
    (repo / ".dvc/cache/files/md5" / name[:2] / name[2:]).unlink()
    monkeypatch.setenv("MLFLOW_DVC_ALLOW_MISSING", "1")
    code, shown = on_terminal(repo)
    assert code == 0, shown
    assert "\rmlflow-dvc: uploading objects: 3/3\r\nmlflow-dvc: 3 objects uploaded" in shown
