"""That nothing there is weakened, and a second run changes nothing."""

import json
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from agent.upload.bucket_properties import Finding, Verdict, Wanted
from agent.upload.buckets import BucketError, check_bucket, init_bucket
from agent.upload.policies import Dialect, Place, Users, bucket_policy
from tests.fakes.bucket_server import BucketServer

LOCKED = Place("rec-locked")
POLICY = bucket_policy(
    "locked", LOCKED, Users(hosts={"h": "arn:aws:iam:::user/h"}), dialect=Dialect.CEPH
)
WANTED = Wanted("locked", LOCKED, lock="governance", lock_days=351, policy=POLICY)
STATE = Wanted("state", Place("rec-state"), region="FI")


def wrong(found: list[Finding]) -> dict[str, tuple[str, str]]:
    return {
        one.about: (one.text, one.remedy)
        for one in found
        if one.verdict is not Verdict.RIGHT
    }


@pytest.mark.parametrize("wanted", [WANTED, STATE], ids=lambda wanted: wanted.kind)
def test_what_is_new_is_made_whole_and_then_left_alone(wanted: Wanted) -> None:
    server = BucketServer()
    assert wrong(list(check_bucket(server, wanted))) == {
        "bucket": (
            "there is no such bucket",
            "`recording-agent storage init` sets it.",
        )
    }
    assert server.put == []
    assert wrong(list(init_bucket(server, wanted))) == {}
    made = list(server.put)
    assert wrong(list(init_bucket(server, wanted))) == {}
    assert wrong(list(check_bucket(server, wanted))) == {}
    assert server.put == made


def test_only_the_locked_bucket_is_made_with_locks() -> None:
    server = BucketServer()
    list(init_bucket(server, WANTED))
    list(init_bucket(server, STATE))
    assert server.settings["rec-locked"]["created"] == {
        "ObjectLockEnabledForBucket": True
    }
    assert server.settings["rec-state"]["created"] == {}
    assert "object_lock_configuration" not in server.settings["rec-state"]


def with_setting(name: str, value: Any, wanted: Wanted = WANTED) -> BucketServer:
    """A server that is as it must be but for one setting."""
    server = BucketServer()
    list(init_bucket(server, wanted))
    server.settings[wanted.place.bucket][name] = value
    server.put.clear()
    return server


def lock(mode: str, days: int) -> dict[str, Any]:
    default = {"Mode": mode, "Days": days}
    return {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": default}}


def test_a_weaker_lock_is_strengthened_and_a_stronger_one_stays() -> None:
    server = with_setting("object_lock_configuration", lock("GOVERNANCE", 30))
    assert wrong(list(init_bucket(server, WANTED))) == {}
    kept = server.settings["rec-locked"]["object_lock_configuration"]
    assert kept == lock("GOVERNANCE", 351)

    server = with_setting("object_lock_configuration", lock("COMPLIANCE", 30))
    assert wrong(list(init_bucket(server, WANTED))) == {}
    kept = server.settings["rec-locked"]["object_lock_configuration"]
    assert kept == lock("COMPLIANCE", 351)


def test_a_lock_that_outlasts_retention_is_told_and_left() -> None:
    years = {"Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Years": 2}}}
    server = with_setting("object_lock_configuration", years)
    assert wrong(list(init_bucket(server, WANTED))) == {
        "lock": (
            "compliance for 730 days",
            "Shorten it to 351 days: it outlasts retention.",
        )
    }
    assert server.put == []


def test_envelopes_are_never_locked() -> None:
    locked = lock("GOVERNANCE", 1)
    server = with_setting("object_lock_configuration", locked, STATE)
    assert wrong(list(init_bucket(server, STATE))) == {
        "lock": (
            "governance for 1 days",
            "Name another bucket: envelopes could not be erased here.",
        )
    }


def test_a_policy_of_somebody_else_is_told_and_left() -> None:
    theirs = {"Version": "2012-10-17", "Statement": POLICY["Statement"][1:]}
    server = with_setting("bucket_policy", json.dumps(theirs))
    first = POLICY["Statement"][0]["Sid"]
    assert wrong(list(init_bucket(server, WANTED))) == {
        "policy": (
            f"its policy lacks {first}",
            "Merge what `recording-agent storage policies` prints into it.",
        )
    }
    assert server.put == []


def test_others_lifecycle_rules_stay_and_are_told_where_they_expire() -> None:
    harmless = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": ""}}
    server = with_setting("bucket_lifecycle_configuration", {"Rules": [harmless]})
    assert wrong(list(init_bucket(server, WANTED))) == {}
    kept = server.settings["rec-locked"]["bucket_lifecycle_configuration"]["Rules"]
    assert kept[0] == harmless
    assert [rule["ID"] for rule in kept[1:]] == [
        "recording-agent-net",
        "recording-agent-old",
    ]

    early = harmless | {"Expiration": {"Days": 30}}
    server = with_setting("bucket_lifecycle_configuration", {"Rules": [early]})
    assert wrong(list(init_bucket(server, WANTED))) == {
        "lifecycle": (
            "rule theirs expires what may be held",
            "Remove it: only the sweep knows of holds.",
        )
    }
    assert server.put == []


def test_what_cannot_be_set_here_is_to_be_set_by_hand() -> None:
    server = with_setting("versioning", "Suspended")
    server.fails["put_public_access_block"] = "AccessDenied"
    del server.settings["rec-locked"]["public_access_block"]
    assert wrong(list(init_bucket(server, WANTED))) == {
        "public access": (
            "public access is not blocked",
            "It cannot be set here (AccessDenied): see to it by hand.",
        )
    }
    assert server.settings["rec-locked"]["versioning"] == "Enabled"


def test_a_bucket_that_cannot_be_made_has_no_properties() -> None:
    server = BucketServer()
    server.fails["create_bucket"] = "AccessDenied"
    (only,) = init_bucket(server, WANTED)
    assert only.verdict is Verdict.WRONG
    assert "AccessDenied" in only.remedy


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("NotImplemented", "the server does not know of it"),
        ("AccessDenied", "not told (AccessDenied)"),
    ],
)
def test_what_the_server_does_not_tell_is_no_mistake_and_no_proof(
    code: str, told: str
) -> None:
    server = with_setting("versioning", "Enabled")
    server.fails["get_public_access_block"] = code
    assert wrong(list(check_bucket(server, WANTED))) == {
        "public access": (told, "Make sure of it by the server's own means.")
    }


def test_a_server_that_is_not_there_is_an_error() -> None:
    class Gone(BucketServer):
        def head_bucket(self, Bucket: str) -> None:  # noqa: N803
            raise EndpointConnectionError(endpoint_url="https://s3.test")

    with pytest.raises(BucketError, match="rec-locked: EndpointConnectionError"):
        list(check_bucket(Gone(), WANTED))
