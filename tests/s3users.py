"""An S3 server with users and permissions: `moto_server`, which asks IAM before it answers."""

from __future__ import annotations

import json
import sysconfig
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from services import free_port, running, wait_for

# Who may do what; `nobody` is a user without any permission.
_USERS: dict[str, list[str]] = {
    "nobody": [],
    "writer": ["s3:PutObject", "s3:AbortMultipartUpload"],
    "looker": ["s3:GetObject", "s3:ListBucket"],
    "reader": ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"],
}


@dataclass(frozen=True)
class Guarded:
    """A server; ``keys`` maps a user to (access key id, secret), ``client`` may do everything."""

    url: str
    keys: dict[str, tuple[str, str]]
    client: Any

    def new_bucket(self) -> str:
        """Make an empty bucket; return its name."""
        name = f"bucket-{len(self.client.list_buckets()['Buckets'])}"
        self.client.create_bucket(Bucket=name)
        return name

    def names(self, bucket: str) -> set[str]:
        """Return the hashes of the bucket's objects."""
        found = self.client.list_objects_v2(Bucket=bucket).get("Contents", ())
        return {"".join(item["Key"].split("/")[-2:]) for item in found}


@pytest.fixture(scope="session")
def guarded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Start a server that enforces the permissions of its users."""
    folder = tmp_path_factory.mktemp("moto")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [f"{sysconfig.get_path('scripts')}/moto_server", "-H", "127.0.0.1", "-p", str(port)]
    with running(command, str(folder), stop="SIGTERM"):
        wait_for(lambda: urllib.request.urlopen(f"{url}/moto-api/data.json").close(), OSError)
        yield _with_users(url)


def _with_users(url: str) -> Guarded:
    users = {"admin": ["s3:*"], **_USERS}
    keys = {name: _user(_client("iam", url, "any", "any"), name, users[name]) for name in users}
    # From the next request on each is checked.
    plain = {"Content-Type": "text/plain"}
    request = urllib.request.Request(f"{url}/moto-api/reset-auth", b"0", plain, method="POST")
    urllib.request.urlopen(request).close()
    return Guarded(url, keys, _client("s3", url, *keys["admin"]))


def _user(iam: Any, name: str, actions: list[str]) -> tuple[str, str]:
    iam.create_user(UserName=name)
    allow = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    if actions:
        iam.put_user_policy(UserName=name, PolicyName="may", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def _client(service: str, url: str, key: str, secret: str) -> Any:
    import boto3

    return boto3.client(
        service, endpoint_url=url, region_name="us-east-1", aws_access_key_id=key,
        aws_secret_access_key=secret,
    )  # fmt: skip
