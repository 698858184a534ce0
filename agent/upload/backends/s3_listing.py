"""A page of a listing as the object store wrote it, read by hand.

botocore asks its model of S3 about each field of each of a thousand names, and makes
of each time what dateutil can: nine tenths of the time that a listing takes.
"""

from typing import Any, Final
from xml.etree import ElementTree

from agent.common.outgoing import moment_of

EVENT: Final = "before-parse.s3.ListObjectsV2"
"At which botocore lets `read_page` have an answer first."
_EMPTY: Final = b"<ListBucketResult/>"
_OF_PAGE: Final = frozenset(
    {"NextContinuationToken", "EncodingType", "Prefix", "Delimiter", "StartAfter"}
)


def read_page(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object
) -> None:
    """Put what the answer says where botocore takes it from. Raises ValueError."""
    # Refusals are botocore's to read.
    if response_dict["status_code"] == 200:
        customized_response_dict.update(_page(response_dict["body"]))
        response_dict["body"] = _EMPTY


def _page(body: bytes) -> dict[str, Any]:
    """What botocore would say, as far as anybody asks. Raises ValueError."""
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - as botocore: expat bounds it
    except ElementTree.ParseError as error:
        raise ValueError("a listing that is no XML") from error
    contents: list[dict[str, Any]] = []
    page: dict[str, Any] = {"IsTruncated": False, "Contents": contents}
    for child in root:
        name = _name(child)
        if name == "Contents":
            contents.append(_entry(child))
        elif name == "IsTruncated":
            page[name] = child.text == "true"
        elif name in _OF_PAGE:
            page[name] = child.text or ""
    return page


def _entry(element: ElementTree.Element) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    for field in element:
        match _name(field):
            case "Key":
                entry["Key"] = field.text or ""
            case "Size":
                entry["Size"] = int(field.text or "")
            case "LastModified":
                entry["LastModified"] = moment_of(field.text or "")
            case _:
                continue
    return entry


def _name(element: ElementTree.Element) -> str:
    """Without its namespace, of which servers have several."""
    return element.tag.rpartition("}")[2]
