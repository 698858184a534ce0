"""Who may do what to which objects: policies for the servers that enforce them.

The same statements make a policy of a bucket, which names its users, and one of a user.
Each role has a short list of what it may do, and is denied whatever is not on it: on
some servers who wrote an object owns it, and an owner needs no leave to alter its ACL,
tags and locks. Denied by name, too: there `NotAction` does not bind an owner.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Literal

Statement = dict[str, Any]
Policy = dict[str, Any]
Kind = Literal["locked", "state"]
"Which of a storage's two URLs."

_READ: Final = ("GetObject", "GetObjectVersion")
_LIST: Final = ("ListBucket", "ListBucketVersions", "GetBucketVersioning")
_DELETE: Final = ("DeleteObject", "DeleteObjectVersion")
_TAG: Final = (
    "PutObjectTagging",
    "PutObjectVersionTagging",
    "DeleteObjectTagging",
    "DeleteObjectVersionTagging",
    "GetObjectTagging",
    "GetObjectVersionTagging",
)
_LOCK_SHOWN: Final = "GetObjectRetention"
"Without it a HEAD hides an object's lock."
_LOCK_PERIOD: Final = "GetBucketObjectLockConfiguration"
_RECORDINGS: Final = ("audio", "manifest")
_TAGGED: Final = frozenset({"audio", "manifest", "keys", "index"})
"Whose objects come with a tag (agent.upload.backends.s3)."
_GATES_LOG: Final = "audit/gate"
"The log of who had access to what: no host writes there."
_SPOOL: Final = "????????"
"A host's logs are `<host>.<spool>`, one for each spool: this matches no other host."
_GRANTS: Final = ("read", "write", "read-acp", "write-acp", "full-control")


_ACTIONS: Final = """
AbortMultipartUpload BypassGovernanceRetention DeleteBucket DeleteBucketPolicy
DeleteBucketWebsite DeleteObject DeleteObjectTagging DeleteObjectVersion
DeleteObjectVersionTagging GetAccelerateConfiguration GetBucketAcl GetBucketCORS
GetBucketLocation GetBucketLogging GetBucketNotification
GetBucketObjectLockConfiguration GetBucketOwnershipControls GetBucketPolicy
GetBucketPolicyStatus GetBucketPublicAccessBlock GetBucketRequestPayment
GetBucketTagging GetBucketVersioning GetBucketWebsite GetLifecycleConfiguration
GetObject GetObjectAcl GetObjectAttributes GetObjectLegalHold GetObjectRetention
GetObjectTagging GetObjectTorrent GetObjectVersion GetObjectVersionAcl
GetObjectVersionAttributes GetObjectVersionForReplication GetObjectVersionTagging
GetObjectVersionTorrent GetReplicationConfiguration ListBucket
ListBucketMultipartUploads ListBucketVersions ListMultipartUploadParts
PutAccelerateConfiguration PutBucketAcl PutBucketCORS PutBucketLogging
PutBucketNotification PutBucketObjectLockConfiguration PutBucketOwnershipControls
PutBucketPolicy PutBucketPublicAccessBlock PutBucketRequestPayment PutBucketTagging
PutBucketVersioning PutBucketWebsite PutLifecycleConfiguration PutObject PutObjectAcl
PutObjectLegalHold PutObjectRetention PutObjectTagging PutObjectVersionAcl
PutObjectVersionTagging PutReplicationConfiguration ReplicateDelete ReplicateObject
ReplicateTags RestoreObject
"""
ACTIONS: Final = tuple(_ACTIONS.split())
"""Of buckets and objects. Those that Ceph knows: it refuses a policy with others.

Amazon knows more, and there `NotAction` denies them.
"""


class Role(StrEnum):
    """Whose credentials they are."""

    HOST = "host"
    "A telephony host: puts, and reads back what it put."
    GATE = "gate"
    "The sole holder of rights to delete."
    READER = "reader"
    "A person's tools: audio and manifests; envelopes come from the gate."


class Dialect(StrEnum):
    """What a server understands of conditions in policies."""

    AMAZON = "amazon"
    "Can demand conditional puts; a tag that comes with a put needs leave of its own."
    CEPH = "ceph"
    "Knows neither: that keys are not taken twice rests on versions."


@dataclass(frozen=True, slots=True)
class Grant:
    """Actions, and the folders whose objects they are allowed on; none: the bucket."""

    actions: tuple[str, ...]
    folders: tuple[str, ...] = ()


_STATE_OF_GATE: Final = (
    "keys", "index", "state", "annotations", "tombstones", "gate", "erasures",
)  # fmt: skip
RIGHTS: Final[Mapping[tuple[Role, Kind], tuple[Grant, ...]]] = {
    (Role.HOST, "locked"): (
        Grant(("PutObject", *_READ, _LOCK_SHOWN), ("audio", "manifest", "notices")),
        Grant((_LOCK_PERIOD,)),
    ),
    (Role.HOST, "state"): (Grant(("PutObject", *_READ), ("keys", "index")),),
    (Role.GATE, "locked"): (
        Grant((*_READ, _LOCK_SHOWN), ("audio", "manifest", "notices", "audit")),
        Grant(("PutObject",), (_GATES_LOG,)),
        Grant((*_DELETE, *_TAG), _RECORDINGS),
        Grant((*_LIST, _LOCK_PERIOD)),
    ),
    (Role.GATE, "state"): (
        Grant(("PutObject", *_READ, *_DELETE, *_TAG), _STATE_OF_GATE),
        Grant(_LIST),
    ),
    (Role.READER, "locked"): (
        Grant(_READ, ("audio", "manifest", "notices", "audit")),
        Grant(_LIST),
    ),
    (Role.READER, "state"): (),
}
"What each role may do; all else is denied. Each host has its own log beside."

WITHOUT_GATE: Final = (Grant(_READ, ("keys", "index")), Grant(_LIST))
"What a reader needs of the state bucket where no gate hands envelopes out."

_NEVER: Final[Mapping[tuple[Role, Kind], tuple[Grant, ...]]] = {
    (Role.HOST, "locked"): (Grant(("PutObject",), (_GATES_LOG,)),),
    (Role.GATE, "locked"): (Grant(_DELETE, ("audit", "notices")),),
    (Role.GATE, "state"): (Grant(_DELETE, ("tombstones",)),),
}
"What a role's own grants, or its ownership, would else let it do."


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket, or what is below a prefix in it."""

    bucket: str
    prefix: str = ""
    "Empty, or ends with a slash."

    @property
    def arn(self) -> str:
        """The bucket's name in policies."""
        return f"arn:aws:s3:::{self.bucket}"

    def objects(self, folder: str) -> str:
        """The name of all objects of a folder."""
        return f"{self.arn}/{self.prefix}{folder}/*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """Who signs requests to a storage, by the ARNs that its server knows them by."""

    hosts: Mapping[str, str] = field(default_factory=dict)
    "By the host's name, `agent.name`: its log bears it."
    gate: Sequence[str] = ()
    readers: Sequence[str] = ()

    def __bool__(self) -> bool:
        """Whether anybody is named."""
        return bool(self.hosts or self.gate or self.readers)


def host_policy(host: str, locked: Place, state: Place, *, dialect: Dialect) -> Policy:
    """What is attached to the user or role of the host of that name."""
    return _policy(
        [
            *_statements(Role.HOST, "locked", locked, dialect, ()),
            _own_log(0, host, locked, ()),
            *_statements(Role.HOST, "state", state, dialect, ()),
        ]
    )


def role_policy(
    role: Literal[Role.GATE, Role.READER],
    locked: Place,
    state: Place,
    *,
    dialect: Dialect,
    without_gate: bool = False,
) -> Policy:
    """What is attached to a user or a role: it names nobody."""
    return _policy(
        [
            *_statements(role, "locked", locked, dialect, ()),
            *_statements(role, "state", state, dialect, (), without_gate=without_gate),
        ]
    )


def bucket_policy(
    kind: Kind,
    place: Place,
    users: Users,
    *,
    dialect: Dialect,
    without_gate: bool = False,
) -> Policy:
    """What is put on a bucket."""
    named = {
        Role.HOST: sorted(users.hosts.values()),
        Role.GATE: sorted(users.gate),
        Role.READER: sorted(users.readers),
    }
    statements: list[Statement] = []
    for role, arns in named.items():
        if arns:
            statements += _statements(
                role, kind, place, dialect, arns, without_gate=without_gate
            )
    if kind == "locked":
        statements += [
            _own_log(number, host, place, [arn])
            for number, (host, arn) in enumerate(sorted(users.hosts.items()))
        ]
    return _policy(statements)


def public_statements(policy: Policy) -> list[str]:
    """The Sids of statements that let anybody in; conditions do not excuse them."""
    return [
        str(statement.get("Sid", "unnamed"))
        for statement in policy.get("Statement", [])
        if statement.get("Effect") == "Allow"
        and ("*" in _aslist(statement.get("Principal")) or "NotPrincipal" in statement)
    ]


def _own_log(number: int, host: str, locked: Place, arns: Sequence[str]) -> Statement:
    """What lets a host write its own log: who has another's name could end it."""
    grant = Grant(("PutObject", *_READ, _LOCK_SHOWN), (f"audit/{host}.{_SPOOL}",))
    return {
        "Sid": f"HostLockedOwnLog{number}",
        "Effect": "Allow",
        **_named(arns),
        **_scope(grant, locked),
    }


def _named(arns: Sequence[str]) -> Statement:
    return {"Principal": {"AWS": list(arns)}} if arns else {}


def _statements(
    role: Role,
    kind: Kind,
    place: Place,
    dialect: Dialect,
    principals: Sequence[str],
    *,
    without_gate: bool = False,
) -> list[Statement]:
    grants = RIGHTS[role, kind]
    if without_gate and (role, kind) == (Role.READER, "state"):
        grants = WITHOUT_GATE
    who = _named(principals)
    made: list[Statement] = []

    def add(sid: str, effect: str, **rest: Any) -> None:
        name = f"{role.capitalize()}{kind.capitalize()}{sid}"
        made.append({"Sid": name, "Effect": effect, **who, **rest})

    for number, grant in enumerate(grants):
        add(f"May{number}", "Allow", **_scope(grant, place))
    folders = [f for g in grants if "PutObject" in g.actions for f in g.folders]
    # Of all logs: what nobody may do with a put, nobody may with his own.
    logs = ["audit"] if kind == "locked" and folders else []
    putting = [place.objects(f) for f in (*folders, *logs) if f != _GATES_LOG]
    allowed = {action for grant in grants for action in grant.actions}
    if putting:
        for sid, condition in _put_conditions(role, dialect):
            add(
                sid,
                "Deny",
                Action="s3:PutObject",
                Resource=putting,
                Condition=condition,
            )
        if dialect is Dialect.AMAZON and role is Role.HOST:
            # Amazon asks for this right where a tag comes with a put.
            allowed.add("PutObjectTagging")
            normal = {"StringEquals": {"s3:RequestObjectTag/expiry": "normal"}}
            add(
                "MayTag",
                "Allow",
                Action="s3:PutObjectTagging",
                Resource=[place.objects(f) for f in folders if f in _TAGGED],
                Condition=normal,
            )
    for number, grant in enumerate(_NEVER.get((role, kind), ())):
        add(f"Never{number}", "Deny", **_scope(grant, place))
    everything = [place.arn, f"{place.arn}/*"]
    if not allowed:
        add("Nothing", "Deny", Action="s3:*", Resource=everything)
        return made
    others = [f"s3:{action}" for action in ACTIONS if action not in allowed]
    add("NoneOfThese", "Deny", Action=others, Resource=everything)
    listed = [f"s3:{action}" for action in sorted(allowed)]
    add("NothingElse", "Deny", NotAction=listed, Resource=everything)
    return made


def _put_conditions(role: Role, dialect: Dialect) -> Iterator[tuple[str, Statement]]:
    # Both of the first: some servers take an absent ACL for an empty one.
    yield (
        "NoAcl",
        {
            "StringNotEquals": {"s3:x-amz-acl": ["private", ""]},
            "Null": {"s3:x-amz-acl": "false"},
        },
    )
    for grant in _GRANTS:
        sid = "".join(part.capitalize() for part in grant.split("-"))
        yield f"NoGrant{sid}", {"Null": {f"s3:x-amz-grant-{grant}": "false"}}
    yield "NoCopy", {"Null": {"s3:x-amz-copy-source": "false"}}
    if dialect is Dialect.AMAZON and role is Role.HOST:
        yield "NoOverwrite", {"Null": {"s3:if-none-match": "true"}}


def _scope(grant: Grant, place: Place) -> Statement:
    actions = [f"s3:{action}" for action in grant.actions]
    if grant.folders:
        return {
            "Action": actions,
            "Resource": [place.objects(f) for f in grant.folders],
        }
    return {"Action": actions, "Resource": place.arn}


def _policy(statements: list[Statement]) -> Policy:
    return {"Version": "2012-10-17", "Statement": statements}


def _aslist(principal: object) -> list[object]:
    if isinstance(principal, Mapping):
        return [one for value in principal.values() for one in _aslist(value)]
    return list(principal) if isinstance(principal, list) else [principal]
