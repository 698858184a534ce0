import json
from dataclasses import replace
from typing import Any

import pytest

from agent.upload.bucket_properties import (
    NET_DAYS,
    OLD_DAYS,
    PROPERTIES,
    Verdict,
    Wanted,
    lifecycle_rules,
)
from agent.upload.buckets import init_bucket
from agent.upload.policies import Place
from tests.fakes.bucket_server import BucketServer

WANTED = Wanted(
    "locked", Place("rec"), lock="compliance", lock_days=351, region="eu-north-1"
)


def judge(server: BucketServer, about: str, wanted: Wanted = WANTED) -> tuple[str, str]:
    """What is found of one property of a bucket that is there."""
    (look,) = (one.look for one in PROPERTIES if one.about == about)
    verdict, text, remedy = look(server, wanted)
    assert (verdict is Verdict.RIGHT) <= (not remedy)
    return verdict, text


def made(wanted: Wanted = WANTED) -> BucketServer:
    server = BucketServer()
    list(init_bucket(server, wanted))
    return server


def test_a_bucket_that_is_not_ours_is_not_made_again() -> None:
    server = made()
    server.fails["head_bucket"] = "403"
    assert judge(server, "bucket") == ("wrong", "it is not ours to look at (403)")
    assert [f.about for f in init_bucket(server, WANTED)] == ["bucket"]


def test_a_bucket_elsewhere_is_made_there() -> None:
    server = made(replace(WANTED, signing_region="eu-north-1"))
    where = {"LocationConstraint": "eu-north-1"}
    assert server.settings["rec"]["created"]["CreateBucketConfiguration"] == where


@pytest.mark.parametrize(
    ("location", "region", "verdict", "text"),
    [
        ("eu-north-1", "SE", "right", "in SE, as the server says too"),
        ("default", "FI", "right", "in FI, by its operator's word"),
        (None, "", "right", "in no stated region, by its operator's word"),
        ("us-east-2", "SE", "wrong", "the server says us-east-2, not SE"),
    ],
)
def test_where_the_server_says_it_is_must_be_where_the_operator_does(
    location: str | None, region: str, verdict: str, text: str
) -> None:
    server = made()
    server.location = location
    assert judge(server, "region", replace(WANTED, region=region)) == (verdict, text)


@pytest.mark.parametrize(
    ("grantee", "verdict", "text"),
    [
        ({"ID": "me"}, "right", "its ACL is private"),
        ({"ID": "other"}, "wrong", "its ACL lets others than its owner in"),
        (
            {"URI": "http://acs.amazonaws.com/groups/global/AllUsers"},
            "wrong",
            "its ACL lets everybody in",
        ),
    ],
)
def test_an_acl_lets_its_owner_in_and_nobody_else(
    grantee: dict[str, str], verdict: str, text: str
) -> None:
    server = made()
    server.acl["Grants"] = [{"Grantee": grantee, "Permission": "READ"}]
    assert judge(server, "ACL") == (verdict, text)


def test_a_policy_that_lets_everybody_in_is_wrong_whoever_made_it() -> None:
    server = made()
    assert judge(server, "policy")[1] == "no policy, and none asked for"
    public = {"Sid": "Web", "Effect": "Allow", "Principal": "*", "Action": "s3:*"}
    for statement, found in (
        (public, ("wrong", "everybody is let in by Web")),
        (
            public | {"Principal": {"AWS": ["*"]}},
            ("wrong", "everybody is let in by Web"),
        ),
        (
            public | {"Effect": "Deny"},
            ("right", "a policy of its operator's, and none asked for"),
        ),
    ):
        server.settings["rec"]["bucket_policy"] = json.dumps({"Statement": [statement]})
        assert judge(server, "policy") == found


def test_what_is_locked_without_a_lock_is_only_told() -> None:
    none = replace(WANTED, lock="none")
    assert judge(made(none), "lock", none) == ("right", "no default")


def test_the_net_takes_only_what_is_tagged_and_late() -> None:
    net, old = lifecycle_rules(WANTED)
    assert net["Filter"] == {"Tag": {"Key": "expiry", "Value": "normal"}}
    assert net["Expiration"]["Days"] == NET_DAYS > 366 + 31
    assert old["NoncurrentVersionExpiration"]["NoncurrentDays"] == OLD_DAYS["locked"]


@pytest.mark.parametrize(
    "wanted", [replace(WANTED, kind="state"), replace(WANTED, lock="none")]
)
def test_a_first_version_that_no_lock_keeps_outlives_retention(wanted: Wanted) -> None:
    # Who has put something over it must not be able to wait for it to go.
    old: dict[str, Any] = lifecycle_rules(wanted)[1]
    assert old["NoncurrentVersionExpiration"]["NoncurrentDays"] == NET_DAYS


def test_a_rule_of_ours_that_somebody_changed_is_told() -> None:
    server = made()
    rules = server.settings["rec"]["bucket_lifecycle_configuration"]["Rules"]
    rules[0] = rules[0] | {"Status": "Disabled"}
    assert judge(server, "lifecycle") == (
        "wrong",
        "rule recording-agent-net is not as it was made",
    )
