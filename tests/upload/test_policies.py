import json
from fnmatch import fnmatchcase
from typing import Any

import pytest

from agent.formats.layout import Folder
from agent.upload.policies import (
    ACTIONS,
    Dialect,
    Place,
    Policy,
    Role,
    Users,
    bucket_policy,
    host_policy,
    public_statements,
    role_policy,
)

LOCKED, STATE = Place("rec-locked"), Place("rec-state", "site/")
ARN = "arn:aws:iam:::user/somebody"


def decide(policy: Policy, action: str, resource: str, **keys: str) -> bool:
    """What S3 says: a denial counts, and then a permission."""
    effects = {
        statement["Effect"]
        for statement in policy["Statement"]
        if _matches(statement, f"s3:{action}", resource, keys)
    }
    return "Deny" not in effects and "Allow" in effects


def _matches(
    statement: dict[str, Any], action: str, resource: str, keys: dict[str, str]
) -> bool:
    def listed(name: str, value: str) -> bool:
        given = statement[name]
        patterns = [given] if isinstance(given, str) else given
        return any(fnmatchcase(value, pattern) for pattern in patterns)

    named = (
        listed("Action", action)
        if "Action" in statement
        else not listed("NotAction", action)
    )
    if not named or not listed("Resource", resource):
        return False
    for operator, wanted in statement.get("Condition", {}).items():
        for name, value in wanted.items():
            has = keys.get(name.replace(":", "_").replace("-", "_").replace("/", "_"))
            values = [value] if isinstance(value, str) else value
            match operator:
                case "Null":
                    holds = (has is None) is (value == "true")
                case "StringEquals":
                    holds = has in values
                case "StringNotEquals":
                    holds = has not in values
                case _:
                    raise AssertionError(operator)
            if not holds:
                return False
    return True


def policy(role: Role, dialect: Dialect = Dialect.CEPH, **more: bool) -> Policy:
    if role is Role.HOST:
        return host_policy("host-1", LOCKED, STATE, dialect=dialect)
    return role_policy(role, LOCKED, STATE, dialect=dialect, **more)


def of(folder: str) -> str:
    place = LOCKED if folder.partition("/")[0] in LOCKED_FOLDERS else STATE
    return f"{place.arn}/{place.prefix}{folder}/2026/11/29/x"


LOCKED_FOLDERS = {folder for folder in Folder if folder.target == "locked"}
OWN_LOG = "audit/host-1.0a1b2c3d"
PUT_BY_HOST = {"audio", "manifest", "notices", OWN_LOG, "keys", "index"}


@pytest.mark.parametrize("folder", [*Folder, OWN_LOG, "other"])
def test_a_host_puts_and_reads_what_hosts_put(folder: str) -> None:
    host = policy(Role.HOST)
    for action in ("PutObject", "GetObject"):
        assert decide(host, action, of(folder)) is (folder in PUT_BY_HOST)
    allowed = {a for a in ACTIONS if decide(host, a, of(folder))}
    assert allowed <= {
        "PutObject",
        "GetObject",
        "GetObjectVersion",
        "GetObjectRetention",
    }


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize(
    "other",
    [
        "gate", "host-1", "host-10.0a1b2c3d", "host-2.0a1b2c3d", "host-1.b.0a1b2c3d",
        "host-1.0a1b2c3d4", "xhost-1.0a1b2c3d",
    ],
)  # fmt: skip
def test_a_host_has_its_own_log_and_no_others(dialect: Dialect, other: str) -> None:
    arns = {"host-1": ARN, "host-2": f"{ARN}-2"}
    bucket = bucket_policy("locked", LOCKED, Users(hosts=arns), dialect=dialect)
    own = {"Version": "", "Statement": [s for s in bucket["Statement"] if _of(s, ARN)]}
    once = {"s3_if_none_match": "*"}
    for host in (policy(Role.HOST, dialect), own):
        for action in ("PutObject", "GetObject"):
            assert decide(host, action, of(OWN_LOG), **once)
            assert not decide(host, action, of(f"audit/{other}"), **once)


def _of(statement: dict[str, Any], arn: str) -> bool:
    return arn in statement["Principal"]["AWS"]


def test_the_gate_reads_every_log_and_writes_its_own() -> None:
    gate = policy(Role.GATE)
    assert decide(gate, "PutObject", of("audit/gate"))
    assert not decide(gate, "PutObject", of(OWN_LOG))
    assert decide(gate, "GetObject", of(OWN_LOG))


def test_of_the_buckets_a_host_may_ask_how_long_they_lock() -> None:
    host = policy(Role.HOST)
    allowed = {a for a in ACTIONS if decide(host, a, LOCKED.arn)}
    assert allowed == {"GetBucketObjectLockConfiguration"}
    assert not any(decide(host, action, STATE.arn) for action in ACTIONS)


@pytest.mark.parametrize(
    ("role", "log"), [(Role.HOST, OWN_LOG), (Role.GATE, "audit/gate")]
)
@pytest.mark.parametrize(
    "keys",
    [
        {"s3_x_amz_acl": "public-read"},
        {"s3_x_amz_grant_read": "id=other"},
        {"s3_x_amz_grant_full_control": "id=other"},
        {"s3_x_amz_copy_source": "elsewhere/x"},
    ],
)
def test_nobody_puts_with_an_acl_or_a_copy(
    role: Role, log: str, keys: dict[str, str]
) -> None:
    assert decide(policy(role), "PutObject", of(log))
    assert not decide(policy(role), "PutObject", of(log), **keys)


@pytest.mark.parametrize("acl", ["private", ""])
def test_an_acl_that_says_nothing_is_none(acl: str) -> None:
    assert decide(policy(Role.HOST), "PutObject", of("audio"), s3_x_amz_acl=acl)


def test_where_it_can_be_demanded_a_host_puts_conditionally_with_one_tag() -> None:
    host = policy(Role.HOST, Dialect.AMAZON)
    once = {"s3_if_none_match": "*"}
    assert decide(host, "PutObject", of("audio"), **once)
    assert not decide(host, "PutObject", of("audio"))
    normal = {"s3_RequestObjectTag_expiry": "normal"}
    assert decide(host, "PutObjectTagging", of("audio"), **normal)
    assert not decide(host, "PutObjectTagging", of("audio"))
    # No log ever comes with one, and lifecycle is to pass them by.
    assert not decide(host, "PutObjectTagging", of(OWN_LOG), **normal)
    # The gate replaces what is its own.
    assert decide(policy(Role.GATE, Dialect.AMAZON), "PutObject", of("state"))


def test_the_gate_alone_deletes_and_neither_logs_nor_tombstones() -> None:
    for folder in Folder:
        for action in ("DeleteObject", "DeleteObjectVersion"):
            kept = {Folder.AUDIT, Folder.NOTICES, Folder.TOMBSTONES}
            assert decide(policy(Role.GATE), action, of(folder)) is (folder not in kept)
            assert not decide(policy(Role.HOST), action, of(folder))
            assert not decide(policy(Role.READER), action, of(folder))


def test_the_gate_does_not_loosen_locks_or_the_buckets() -> None:
    gate = policy(Role.GATE)
    allowed = {
        a for a in ACTIONS for r in (of("audio"), LOCKED.arn) if decide(gate, a, r)
    }
    assert not {a for a in allowed if "Retention" in a and a.startswith("Put")}
    assert not {a for a in allowed if "Bucket" in a and a.startswith(("Put", "Delete"))}
    assert "BypassGovernanceRetention" not in allowed
    assert "PutObjectLegalHold" not in allowed


def test_the_gate_takes_the_tag_off_what_is_on_hold() -> None:
    for folder in ("audio", "manifest", "keys", "index"):
        assert decide(policy(Role.GATE), "DeleteObjectVersionTagging", of(folder))
        assert not decide(policy(Role.HOST), "DeleteObjectVersionTagging", of(folder))


def test_the_erasures_under_way_are_the_gates() -> None:
    assert decide(policy(Role.GATE), "PutObject", of("erasures"))
    assert decide(policy(Role.GATE), "DeleteObject", of("erasures"))


def test_envelopes_come_to_readers_from_the_gate_where_there_is_one() -> None:
    reader = policy(Role.READER)
    assert decide(reader, "GetObject", of("audio"))
    assert not decide(reader, "PutObject", of("audio"))
    assert not decide(reader, "GetObject", of("keys"))
    assert not decide(reader, "ListBucket", STATE.arn)
    alone = policy(Role.READER, without_gate=True)
    assert decide(alone, "GetObject", of("keys"))
    assert decide(alone, "ListBucket", STATE.arn)
    assert not decide(alone, "GetObject", of("gate"))


def test_a_buckets_policy_names_its_users_and_a_users_names_nobody() -> None:
    users = Users(hosts={"host-1": ARN}, gate=[f"{ARN}-2"])
    made = bucket_policy("locked", LOCKED, users, dialect=Dialect.AMAZON)
    who = {tuple(s["Principal"]["AWS"]) for s in made["Statement"]}
    assert who == {(ARN,), (f"{ARN}-2",)}
    assert public_statements(made) == []
    names = [statement["Sid"] for statement in made["Statement"]]
    assert len(set(names)) == len(names)
    assert all(name.isalnum() for name in names)
    assert len(json.dumps(made)) < 20_000  # Amazon's limit
    assert all("Principal" not in s for s in policy(Role.GATE)["Statement"])


def test_a_statement_for_all_but_somebody_is_public() -> None:
    odd = {"Effect": "Allow", "NotPrincipal": {"AWS": [ARN]}, "Action": "s3:*"}
    assert public_statements({"Statement": [odd]}) == ["unnamed"]
