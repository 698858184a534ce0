"""The object store of the lab is what the tests that use it take it for."""

import time

import pytest
from botocore.exceptions import ClientError

from tests.lab.ceph import Ceph
from tests.lab.s3 import s3_client
from tests.patience import PATIENCE

pytestmark = [pytest.mark.integration, pytest.mark.beside]


def test_the_gateway_comes_back_with_all_it_had(ceph: Ceph) -> None:
    s3 = s3_client(ceph.tls_endpoint, ceph.user("lab"), ca=ceph.ca)
    s3.create_bucket(Bucket="comes-back")
    s3.put_object(Bucket="comes-back", Key="a/b", Body=b"kept")
    ceph.rgw.kill()
    ceph.rgw.start()
    with ceph.osd.paused():
        pass
    assert s3.get_object(Bucket="comes-back", Key="a/b")["Body"].read() == b"kept"


def test_its_access_log_tells_who_asked_for_what(ceph: Ceph) -> None:
    s3 = s3_client(ceph.endpoint, ceph.user("lab"))
    s3.create_bucket(Bucket="told")
    with pytest.raises(ClientError):
        s3.get_object(Bucket="told", Key="keys/no-such-object")
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        told = [entry for entry in ceph.accesses() if entry["bucket"] == "told"]
        if len(told) > 1:
            break
        time.sleep(0.05)
    asked = told[-1]
    assert (asked["user"], asked["operation"], asked["object"]) == (
        "lab",
        "get_obj",
        "keys/no-such-object",
    )
    assert asked["http_status"] == "404"
