"""Makes agent/signalling/INTEROP.md's chapter on recording session clients.

`scripts/interop` ends with it; alone: `python -m tests.call.siprec.dialect_table`. The
cases are those that test_vendors proves; who is who is told by position, because some
samples hold numbers that may be somebody's.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from agent.model.recording import UNDECIDED, Channel
from tests.call.siprec.vendors import CASES, Case
from tests.lab.interop import TABLE, read_table

_HEAD: Final = """\
## Recording session clients (SIPREC)

Written by `python -m tests.call.siprec.dialect_table`. What each make sends beyond RFC
7865 and 7866, or other than they say, and where officer and caller come from. *Sample*:
recorded messages of that make are among our tests' data. *Public test data*: others
have published such messages. *Documentation*: the maker's, or that of who uses it.
Whatever the make, rules of its `[[siprec]]` entry come first, and numbers of the
officers' directory are known in every form.

"""
MAKES: Final = (
    (
        "Cisco CUBE",
        "sample",
        "streams labelled 1 and 2; an `application/gtd` part; no closing boundary;"
        " `a=inactive` at first, with empty associations; without `siprec` no metadata"
        " at all",
        "nothing: the directory, or `label:`",
    ),
    (
        "Cisco phones (built-in bridge, CUCM)",
        "public test data",
        "plain SDP, one end in each of two sessions: `legacy`",
        "`x-nearendaddr` (officer) and `x-farendaddr` in the From; `x-nearend` or"
        " `x-farend` says whose audio it is. The two recordings are not tied together",
    ),
    (
        "Oracle, Acme Packet",
        "sample, public test data",
        "an early draft's namespace and elements; associations inside of the"
        " participants; times without a zone",
        "`callingParty` marks who rang, `request-uri` has the number rung;"
        " the directory or `direction` says who is the officer",
    ),
    (
        "Ribbon, Sonus",
        "sample, documentation",
        "a prefixed namespace; times of 1970; addresses without a scheme",
        "`fromhdr` and `tohdr` of `callData` in the group say who rang whom; what else"
        " its metadata profile puts there: `named:`",
    ),
    (
        "BroadWorks, Webex",
        "sample (its tags are lost), public test data",
        "a draft's `recording_metadata` before the description; headers without a"
        " blank; lengths of parts; one mixed stream or two; `;src` and no Require:"
        " `legacy`",
        "`userID` is the subscriber who is recorded: the officer; `origCall` or"
        " `termCall` is the direction, with calling and called number",
    ),
    (
        "Avaya SBCE",
        "sample",
        "ids that are no UUIDs; times without a zone; `ASBCE@asbce.com` in the place"
        " of a party that it cannot name; sessions that end without media",
        'nothing: the directory, or `caller = ["participant:1"]`; its stand-in has'
        " no number",
    ),
    (
        "AudioCodes",
        "documentation",
        "RFC 7865 or a draft, as configured; `AvayaUCID`, `GenesysUUID`: ids alone",
        "nothing: the directory; headers that its message manipulation adds: `header:`",
    ),
    (
        "NetSapiens",
        "documentation",
        "a new session with the same labels for each change of parties, tied by the"
        " group's id",
        "nothing: the directory",
    ),
    (
        "OpenSIPS (and what is built on it)",
        "sample, documentation",
        "no associations, in older versions no streams; no `c=` line",
        "the caller is named first, by its From, then the callee:"
        ' `calling = ["participant:1"]`',
    ),
    (
        "SEMS (Procomm)",
        "sample",
        "`application/rs-metadata`; labels `a_leg` and `b_leg`; an address without a"
        " scheme; no closing boundary",
        "nothing: the directory, or `label:`",
    ),
    (
        "Microsoft Dynamics dialers, and who sends as they do",
        "documentation",
        "labels `inbound` and `outbound`; names of accounts for addresses",
        "`Role` of `ExtensionParameters` in the session is the direction; who rang is"
        " not said: `label:`",
    ),
    (
        "jambonz",
        "public test data",
        "streams labelled 1 and 2",
        "nothing: the directory; headers that its application adds: `header:`",
    ),
    (
        "Metaswitch",
        "neither sample nor documentation was found",
        "",
        "the directory",
    ),
)
"Make, whence it is known, what it sends, what tells who is who."

_SAMPLES: Final = """
What comes of each sample and of each document of the RFCs. Parties are counted as the
metadata names them; a stream is given by its place in the description. `-` is nobody,
or not to be told.

"""


def chapter() -> str:
    """All of it, from its heading on. Needs the corpora."""
    makes = [
        ("make", "known from", "what is special, and tolerated", "who is who"),
        ("---",) * 4,
        *MAKES,
    ]
    heads = "sample", "configured", "caller", "officers", "direction"
    heads = *heads, "left", "right", "both", "told by", "tolerated"
    samples = [heads, ("---",) * len(heads), *map(_row, CASES)]
    return _HEAD + _lines(makes) + _SAMPLES + _lines(samples)


def _row(case: Case) -> tuple[str, ...]:
    seen = case.seen()
    numbers = [number for number, _ in seen.participants]

    def place(number: str) -> str:
        return _ordinal(numbers.index(number)) if number in numbers else "-"

    def side(channel: Channel) -> str:
        found = [n for n, one in enumerate(seen.channels.values(), 1) if one is channel]
        return ", ".join(map(str, found)) or "-"

    told = [f"{key} = {_value(value)}" for key, value in case.rules.items()]
    if case.directory and not case.documents[0].startswith("rfc"):
        told.append("directory")
    return (
        case.name,
        ", ".join(told) or ("directory" if case.directory else "-"),
        place(seen.caller),
        "outsiders alone"
        if seen.outsiders_only
        else ", ".join(map(place, seen.officers)) or "-",
        "-" if seen.direction == UNDECIDED else str(seen.direction),
        side(Channel.CUSTOMER),
        side(Channel.OFFICER),
        side(Channel.BOTH),
        "-" if seen.basis == UNDECIDED else seen.basis,
        ", ".join(seen.tolerated) or "-",
    )


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    return f'"{value}"'


def _ordinal(index: int) -> str:
    return ("1st", "2nd", "3rd")[index]


def _lines(rows: Iterable[tuple[str, ...]]) -> str:
    return "".join(_written(rows))


def _written(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for row in rows:
        yield f"| {' | '.join(row)} |\n"


def main() -> None:
    """Write the chapter into the file."""
    table = read_table()
    table.chapters = chapter()
    TABLE.write_text(str(table))


if __name__ == "__main__":
    main()
