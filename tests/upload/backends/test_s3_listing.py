"""What is read by hand is what botocore reads, of whatever a server may write."""

from typing import Any

import botocore.session
import pytest
from botocore.parsers import RestXMLParser
from hypothesis import given, strategies as st

from agent.upload.backends.s3_listing import read_page

MODEL: Any = botocore.session.Session().get_service_model("s3")
SHAPE = MODEL.operation_model("ListObjectsV2").output_shape
NAMESPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
ASKED = {
    "Contents", "IsTruncated", "NextContinuationToken", "EncodingType", "Prefix",
    "StartAfter",
}  # fmt: skip


def read(body: bytes, status: int = 200) -> tuple[dict[str, Any], bytes]:
    answer: dict[str, Any] = {"status_code": status, "headers": {}, "body": body}
    said: dict[str, Any] = {}
    read_page(answer, said, context={})
    return said, answer["body"]


def as_botocore(body: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "status_code": 200,
        "headers": {},
        "body": body,
        "context": {},
    }
    told: dict[str, Any] = RestXMLParser().parse(answer, SHAPE)
    contents = [
        {name: one[name] for name in ("Key", "Size", "LastModified") if name in one}
        for one in told.get("Contents", [])
    ]
    return {n: v for n, v in told.items() if n in ASKED} | {"Contents": contents}


KEYS = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), max_size=20)
ENTRIES = st.tuples(KEYS, st.integers(0, 1 << 40), st.datetimes())


@given(st.lists(ENTRIES, max_size=5), st.booleans(), st.sampled_from(["", NAMESPACE]))
def test_pages_are_read_as_botocore_reads_them(
    entries: list[tuple[str, int, Any]], more: bool, namespace: str
) -> None:
    body = "".join(
        f"<Contents><Key>{key.replace('&', '&amp;').replace('<', '&lt;')}</Key>"
        f"<LastModified>{time:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
        f"<ETag>&quot;x&quot;</ETag><Size>{size}</Size><Owner><ID>o</ID></Owner>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
        for key, size, time in entries
        if time.year > 999
    )
    text = (
        f"<?xml version='1.0'?><ListBucketResult{namespace}><Name>bucket</Name>"
        f"<Prefix>keys/</Prefix><MaxKeys>1000</MaxKeys>{body}"
        f"<NextContinuationToken>keys%2Fa</NextContinuationToken><KeyCount>1</KeyCount>"
        f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        "<EncodingType>url</EncodingType></ListBucketResult>"
    )
    said, left = read(text.encode())
    assert said == as_botocore(text.encode())
    # Nothing is left that would be read once more.
    assert as_botocore(left) == {"Contents": []}


def test_refusals_are_left_to_botocore() -> None:
    assert read(b"<Error/>", 403) == ({}, b"<Error/>")


@pytest.mark.parametrize(
    "inner",
    ["<Contents>", "<Size>much</Size>", "<Size/>", "<LastModified>then</LastModified>"],
)
def test_what_is_no_listing_is_an_error_of_values(inner: str) -> None:
    with pytest.raises(ValueError, match=r"no XML|much|then|invalid"):
        read(f"<R><Contents>{inner}</Contents></R>".encode())
