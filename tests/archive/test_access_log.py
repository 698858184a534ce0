import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from agent.archive.access_log import (
    MAX_LINE,
    Access,
    AccessLogError,
    Kind,
    parse_aws_line,
    parse_rgw_line,
)

KEY = "keys/2026/11/23/123e4567-e89b-42d3-a456-426614174000.key.age"
RGW = {
    "bucket": "state", "object": KEY, "time": "2026-11-29T21:02:03.456789Z",
    "time_local": "2026-11-29T23:02:03.456789+0200", "remote_addr": "127.0.0.1",
    "user": "gate", "operation": "get_obj", "uri": f"GET /state/{KEY} HTTP/1.1",
    "http_status": "200", "error_code": "", "bytes_sent": 1, "access_key_id": "A",
}  # fmt: skip
AWS = (
    "79a59df900b949e5 state [29/Nov/2026:21:02:03 +0000] 192.0.2.3"
    f" arn:aws:iam::1:user/g 3E57427F33A59F07 REST.GET.OBJECT {KEY}"
    f' "GET /state/{KEY}?a=\\"b\\" HTTP/1.1" 200 - 113 113 7 - "-" "S3Console/0.4" -'
    " s9lzHYrFp76 SigV4 ECDHE AuthHeader x TLSV1.2 - -"
)


def rgw(**changed: object) -> bytes:
    return json.dumps(RGW | changed).encode()


def one_rgw(**changed: object) -> Access:
    [access] = parse_rgw_line(rgw(**changed))
    return access


def one_aws(line: str) -> Access:
    [access] = parse_aws_line(line.encode())
    return access


def test_a_gateways_line() -> None:
    expected = Access(
        datetime(2026, 11, 29, 21, 2, 3, 456789, UTC), "gate", "state", KEY,
        Kind.READ, 200,
    )  # fmt: skip
    for line in (rgw(), rgw() + b",\n", b" " + rgw()):
        assert parse_rgw_line(line) == [expected]
    for both in (rgw() + rgw(), rgw() + b",\n" + rgw()):
        assert parse_rgw_line(both) == [expected, expected]
    assert parse_rgw_line(b"\n") == parse_aws_line(b"\n") == []
    assert expected.succeeded
    assert one_rgw(time="2026-11-29 21:02:03Z").at.microsecond == 0
    nanoseconds = one_rgw(time="2026-11-29T21:02:03.123456789Z")
    assert nanoseconds.at.microsecond == 123456


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("get_obj", Kind.READ),
        ("copy_obj", Kind.COPY),
        ("put_obj", Kind.OTHER),
        ("list_bucket", Kind.OTHER),
        ("head_obj", Kind.OTHER),
    ],
)
def test_what_a_gateways_operations_give_away(operation: str, kind: Kind) -> None:
    assert one_rgw(operation=operation).kind is kind


def test_a_gateway_calls_asking_whether_an_object_is_there_a_get() -> None:
    assert one_rgw(uri=f"HEAD /state/{KEY} HTTP/1.1").kind is Kind.OTHER


def test_a_refused_request_gives_nothing_away() -> None:
    assert not one_rgw(http_status="403").succeeded
    assert one_rgw(http_status="206").succeeded


def test_amazons_line() -> None:
    assert one_aws(AWS) == Access(
        datetime(2026, 11, 29, 21, 2, 3, 0, UTC), "arn:aws:iam::1:user/g", "state", KEY,
        Kind.READ, 200,
    )  # fmt: skip
    local = AWS.replace("23:02:03 +0200", "").replace(
        "21:02:03 +0000", "23:32:03 +0230"
    )
    assert one_aws(local).at == one_aws(AWS).at
    west = AWS.replace("21:02:03 +0000", "19:02:03 -0200")
    assert one_aws(west).at == one_aws(AWS).at
    quoted = AWS.replace(f" {KEY} ", f" {KEY.replace('/', '%252F')} ")
    assert one_aws(quoted).key == KEY
    nobody = AWS.replace("arn:aws:iam::1:user/g", "-").replace(" 200 ", " - ")
    access = one_aws(nobody)
    assert (access.user, access.status, access.succeeded) == ("", 0, False)
    listing = AWS.replace("REST.GET.OBJECT", "REST.GET.BUCKET").replace(
        f" {KEY} ", " - "
    )
    access = one_aws(listing)
    assert (access.kind, access.key) == (Kind.OTHER, "")
    copied = AWS.replace("REST.GET.OBJECT", "REST.COPY.OBJECT_GET")
    assert one_aws(copied).kind is Kind.READ


@pytest.mark.parametrize(
    "line",
    [
        b"[",
        b"{}",
        b"\xff\xfe",
        b'{"a":' * 5000,
        bytes(MAX_LINE + 1),
        rgw(time="today"),
        rgw(time="2026-13-29T21:02:03Z"),
        rgw(time="2026-11-29T25:02:03Z"),
        rgw(http_status="20x"),
        rgw(user=7),
        AWS.replace("Nov", "Nvo").encode(),
        AWS.replace("29/Nov", "31/Nov").encode(),
        AWS.replace("+0000", "+9999").encode(),
        AWS.replace(
            "29/Nov/2026:21:02:03 +0000", "01/Jan/0001:00:00:00 +0100"
        ).encode(),
        AWS.replace(" 200 ", " 2000 ").encode(),
        AWS[:60].encode(),
        b"[ " * (MAX_LINE // 2),
        b'" [' * (MAX_LINE // 3),
    ],
)
def test_what_is_no_line_is_refused(line: bytes) -> None:
    for parse in (parse_rgw_line, parse_aws_line):
        with pytest.raises(AccessLogError):
            parse(line)


@given(st.binary(min_size=1, max_size=300).filter(bytes.strip))
def test_garbage_is_refused(line: bytes) -> None:
    for parse in (parse_rgw_line, parse_aws_line):
        with pytest.raises(AccessLogError):
            parse(line)
