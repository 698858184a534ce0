from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from agent.upload.bucket_probes import probe_bucket, probe_rights
from agent.upload.bucket_properties import Verdict, Wanted
from agent.upload.policies import Place, Role
from tests.fakes.bucket_server import BucketServer, refused

WANTED = Wanted("locked", Place("rec", "site/"), lock="governance", lock_days=351)


def test_an_honest_server_passes_and_is_left_as_it_was() -> None:
    server = BucketServer()
    found = list(probe_bucket(server, WANTED))
    assert [(one.about, one.verdict) for one in found] == [
        ("taken once", Verdict.RIGHT),
        ("lock kept", Verdict.RIGHT),
    ]
    assert all(key.startswith("site/probe/") for _, key in server.objects)
    assert not any(server.objects.values())


@pytest.mark.parametrize(
    ("lie", "about", "text"),
    [
        ("once", "taken once", "a taken key is overwritten"),
        ("lock", "lock kept", "a lock that was asked for is not there"),
        ("keep", "lock kept", "what is locked goes"),
    ],
)
def test_a_server_that_lies_is_found_out(lie: str, about: str, text: str) -> None:
    server = BucketServer(lies=[lie])
    wrong = [f for f in probe_bucket(server, WANTED) if f.verdict is Verdict.WRONG]
    assert [(one.about, one.text) for one in wrong] == [(about, text)]
    assert wrong[0].remedy
    assert not any(server.objects.values())


def test_nothing_is_asked_of_locks_where_there_are_none() -> None:
    unlocked = replace(WANTED, kind="state")
    assert [f.about for f in probe_bucket(BucketServer(), unlocked)] == ["taken once"]


def test_who_may_not_put_finds_nothing_out() -> None:
    server = BucketServer()
    server.fails["put_object"] = "AccessDenied"
    (found,) = probe_bucket(server, WANTED)
    assert found.verdict is Verdict.UNTOLD
    assert found.text == "cannot be found out (AccessDenied)"


class Answers:
    """Answers each method with an error, or with nothing: it was done."""

    def __init__(self, default: Exception | None, **others: Exception | None) -> None:
        self.default = default
        self.others = others
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def answer(**_: object) -> None:
            self.asked.append(name)
            if error := self.others.get(name, self.default):
                raise error

        return answer


def rights(s3: Answers, wanted: Wanted = WANTED, existing: str = "") -> tuple[str, str]:
    (found,) = probe_rights(s3, wanted, existing=existing)
    return found.verdict, found.text


def test_a_host_that_is_refused_everything_is_right() -> None:
    s3 = Answers(refused("AccessDenied"))
    told = ("right", "a host is refused what it must not do")
    assert rights(s3, existing="audio/x") == told
    assert {"put_object_retention", "get_object_acl", "list_objects_v2"} <= {*s3.asked}
    # Nothing that it asks could have put or taken anything away.
    assert not {"put_object", "delete_objects", "put_bucket_policy"} & {*s3.asked}


def test_what_was_looked_for_would_have_been_done() -> None:
    s3 = Answers(
        refused("403"), delete_object=None, put_object_acl=refused("NoSuchKey")
    )
    assert rights(s3) == ("wrong", "a host may delete, change ACLs")


def test_the_gate_lists_and_deletes_and_is_refused_the_rest() -> None:
    may = {"list_objects_v2", "list_object_versions", "delete_object"}
    s3 = Answers(refused("403"), **dict.fromkeys(may), put_object_tagging=None)
    (found,) = probe_rights(s3, WANTED, role=Role.GATE, existing="audio/x")
    assert (found.verdict, found.text) == (
        Verdict.RIGHT,
        "a gate is refused what it must not do",
    )
    assert not may & {*s3.asked}
    s3 = Answers(refused("403"), put_object_retention=None)
    (found,) = probe_rights(s3, WANTED, role=Role.GATE)
    assert found.text == "a gate may change locks"


def test_no_answer_is_no_proof() -> None:
    late = ReadTimeoutError(endpoint_url="https://s3.test")
    s3 = Answers(refused("AccessDenied"), list_objects_v2=late)
    assert rights(s3, replace(WANTED, kind="state")) == ("untold", "no answer to list")
