"""Every operation of S3, from botocore's model, with arguments that could succeed."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from botocore.exceptions import ClientError
from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.parsers import ResponseParserError

from agent.common.clock import utc_now

LATER: Final = utc_now() + timedelta(days=500)
"Longer than any bucket's own lock."
GRANTEE: Final = "rights-owner"
"A user there is."
_TAGS: Final = {"TagSet": [{"Key": "expiry", "Value": "none"}]}
_EXPIRES: Final = {
    "Rules": [
        {
            "ID": "all",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "Expiration": {"Days": 1},
        }
    ]
}
ARGUMENTS: Final[dict[str, dict[str, Any]]] = {
    "AbortMultipartUpload": {"Key": "{key}.parts"},
    "CopyObject": {"CopySource": "{bucket}/{key}", "Key": "{key}.copy"},
    "DeleteObjects": {"Delete": {"Objects": [{"Key": "{key}"}]}},
    "ListParts": {"Key": "{key}.parts"},
    "PutBucketAcl": {"ACL": "public-read"},
    "PutBucketLifecycleConfiguration": {"LifecycleConfiguration": _EXPIRES},
    "PutBucketTagging": {"Tagging": _TAGS},
    "PutBucketVersioning": {"VersioningConfiguration": {"Status": "Suspended"}},
    "PutObject": {"Key": "{key}.{tried}", "Body": b"new", "IfNoneMatch": "*"},
    "PutObjectAcl": {"ACL": "bucket-owner-full-control"},
    "PutObjectLegalHold": {"LegalHold": {"Status": "ON"}},
    "PutObjectLockConfiguration": {
        "ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}
    },
    "PutObjectRetention": {
        "Retention": {"Mode": "GOVERNANCE", "RetainUntilDate": LATER}
    },
    "PutObjectTagging": {"Tagging": _TAGS},
    "PutPublicAccessBlock": {
        "PublicAccessBlockConfiguration": {"BlockPublicAcls": False}
    },
    "CompleteMultipartUpload": {
        "Key": "{key}.parts",
        "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": "none"}]},
    },
    "CreateMultipartUpload": {"Key": "{key}.parts"},
    "RestoreObject": {"RestoreRequest": {"Days": 1}},
    "UpdateObjectEncryption": {
        "ObjectEncryption": {"SSEKMS": {"KMSKeyArn": "arn:aws:kms:eu:1:key/lab"}}
    },
    "UploadPart": {"Key": "{key}.parts", "Body": b"part"},
    "UploadPartCopy": {"CopySource": "{bucket}/{key}", "Key": "{key}.parts"},
}
"Where what the model demands would not be enough to do harm."
VARIANTS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "PutObject over a taken key": (
        "PutObject",
        {"Key": "{key}", "Body": b"other", "IfNoneMatch": None},
    ),
    "PutObject with an ACL": ("PutObject", {"ACL": "bucket-owner-read"}),
    "PutObject with a grant": ("PutObject", {"GrantRead": f'id="{GRANTEE}"'}),
    "PutObject with a lock of its own": (
        "PutObject",
        {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": LATER},
    ),
    "PutObject with the tag": ("PutObject", {"Tagging": "expiry=normal"}),
    "DeleteObject of a version": ("DeleteObject", {"VersionId": "{version}"}),
    "DeleteObject past governance": (
        "DeleteObject",
        {"VersionId": "{version}", "BypassGovernanceRetention": True},
    ),
    "GetObject of a version": ("GetObject", {"VersionId": "{version}"}),
}
"More ways to use an operation: its name in the table, and arguments beside the usual."

# Of directory buckets or Amazon's own services, at other hosts than the one configured.
ELSEWHERE: Final = {"CreateSession", "ListDirectoryBuckets", "WriteGetObjectResponse"}


@dataclass(frozen=True)
class Object:
    """One object that operations are tried on."""

    bucket: str
    key: str
    version: str
    upload: str = ""
    "An upload in parts under way, where there is one."

    def fill(self, value: Any, tried: str) -> Any:
        """Put its names where arguments ask for them."""
        names = {
            "{bucket}": self.bucket,
            "{key}": self.key,
            "{version}": self.version,
            "{tried}": tried.replace(" ", "-"),
        }
        if isinstance(value, str):
            for name, one in names.items():
                value = value.replace(name, one)
        elif isinstance(value, dict):
            value = {name: self.fill(one, tried) for name, one in value.items()}
        elif isinstance(value, list):
            value = [self.fill(one, tried) for one in value]
        return value


@dataclass(frozen=True)
class Try:
    """What became of one operation."""

    name: str
    status: int
    code: str = field(compare=False)

    @property
    def succeeded(self) -> bool:
        return self.status < 300

    @property
    def denied(self) -> bool:
        return self.status == 403

    def __str__(self) -> str:
        return "allowed" if self.succeeded else f"{self.status} {self.code}"


def operations(
    s3: Any, *, of_objects: bool
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name in the table, name in the model, arguments: of objects, or of buckets.

    Those that take something away come last: the others are to find it.
    """
    model = s3.meta.service_model
    plain = {name: (name, {}) for name in set(model.operation_names) - ELSEWHERE}
    for told, (name, arguments) in sorted(
        (plain | VARIANTS).items(),
        key=lambda item: (
            item[0].startswith("Delete") and item[0] != "DeleteObjectTagging",
            item[0].startswith("Abort"),
            item[0],
        ),
    ):
        if ("Key" in _members(model, name) or name == "DeleteObjects") is of_objects:
            yield told, name, arguments


def attempt(
    s3: Any, told: str, operation: str, more: dict[str, Any], on: Object
) -> Try:
    """Try one operation."""
    model = s3.meta.service_model.operation_model(operation)
    arguments = _required(model.input_shape) if model.input_shape else {}
    members = _members(s3.meta.service_model, operation)
    arguments |= on.fill(ARGUMENTS.get(operation, {}) | more, told)
    if "Bucket" in members:
        arguments["Bucket"] = on.bucket
    if operation == "CreateBucket":
        arguments["Bucket"] = f"{on.bucket}-more"
    if "Key" in members and not {"Key"} & (ARGUMENTS.get(operation, {}) | more).keys():
        arguments["Key"] = on.key
    if "UploadId" in members and on.upload:
        arguments["UploadId"] = on.upload
    if operation == "PutBucketPolicy":
        arguments["Policy"] = _all_to_all(on.bucket)
    arguments = {name: one for name, one in arguments.items() if one is not None}
    # `list_objects_v2` and its like: the client knows how its methods are called.
    by_operation = {v: k for k, v in s3.meta.method_to_api_mapping.items()}
    seen: list[int] = []

    def see(response_dict: dict[str, Any], **_: object) -> None:
        seen.append(response_dict["status_code"])

    s3.meta.events.register_first("before-parse.s3", see)
    try:
        answer = getattr(s3, by_operation[operation])(**arguments)
    except ClientError as error:
        return Try(told, seen[-1], str(error.response["Error"].get("Code")))
    except (ResponseParserError, BytesWarning):
        # To a server that does not know it, it was another operation.
        return Try(told, seen[-1], "no XML")
    finally:
        s3.meta.events.unregister("before-parse.s3", see)
    if answer.get("Errors"):  # of DeleteObjects, which answers 200 whatever it did
        return Try(told, 403, answer["Errors"][0]["Code"])
    for value in answer.values():
        if hasattr(value, "close"):
            value.close()
    return Try(told, seen[-1], "")


def _members(model: Any, operation: str) -> set[str]:
    shape = model.operation_model(operation).input_shape
    return set(shape.members) if shape else set()


def _required(shape: Shape) -> Any:
    """The least that a shape's rules accept."""
    if isinstance(shape, StructureShape):
        wanted = shape.required_members or list(shape.members)[:1]
        return {name: _required(shape.members[name]) for name in wanted}
    if isinstance(shape, ListShape):
        return [_required(shape.member)]
    if isinstance(shape, MapShape):
        return {"x": _required(shape.value)}
    if getattr(shape, "enum", None):
        return shape.enum[0]
    simple: dict[str, Any] = {
        "boolean": True,
        "integer": 1,
        "long": 1,
        "timestamp": LATER,
        "blob": b"x",
    }
    return simple.get(shape.type_name, "x")


def _all_to_all(bucket: str) -> str:
    arn = f"arn:aws:s3:::{bucket}"
    everything = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [everything]})
