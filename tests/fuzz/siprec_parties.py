"""Who is who by whatever a recording client tells, one document after the other."""

from collections.abc import Iterator
from typing import Final

from agent.call.siprec.grouping import group_of
from agent.call.siprec.notice import notice_of
from agent.call.siprec.parties import Parties
from agent.formats.layout import valid_id
from agent.signalling.siprec.metadata import MetadataError
from agent.signalling.siprec.metadata_state import MetadataState
from agent.signalling.siprec.metadata_xml import parse_metadata
from tests.call.siprec.recorded import decided, holds_together, invite, stays
from tests.call.siprec.test_config import entry
from tests.fuzz.siprec import SEPARATOR, own_documents

_RULES: Final = (
    entry(),
    entry(direction="inbound", notice="extension:a=*"),
    entry(officer=("header:X-Agent", "label:1"), calling=("named:a",)),
    entry(caller=("aor:*a*", "extension:a=b"), direction="outbound", service="112"),
)
_MAX_DOCUMENTS: Final = 8
_OWN: Final = "00000000-0000-4000-8000-000000000000"


def siprec_parties(data: bytes) -> None:
    """One octet for the rules, a line for a header and a From, and documents."""
    rules = _RULES[data[0] % len(_RULES)] if data else _RULES[0]
    head, _, rest = data[1:].partition(b"\n")
    value = "".join(c for c in head.decode("utf-8", "replace") if c.isprintable())
    asking = invite(("X-Agent", value))
    state, before = MetadataState(), None
    for xml in rest.split(SEPARATOR, _MAX_DOCUMENTS)[:_MAX_DOCUMENTS]:
        try:
            state.apply(parse_metadata(xml))
        except MetadataError:
            state.missed()
        before = _decide(state, asking, rules, before)


def _decide(
    state: MetadataState, asking: object, rules: object, before: Parties | None
) -> Parties:
    labels = ["1", *dict.fromkeys(one.label for one in state.streams[:3])]
    how = {"labels": labels, "asking": asking, "rules": rules, "state": state}
    made = decided(before=before, **how)  # type: ignore[arg-type]
    holds_together(made, labels)
    stays(made, decided(before=made, **how))  # type: ignore[arg-type]
    assert valid_id(group_of(state, peer="sbc", fallback=_OWN))
    notice_of(state, asking, rules)  # type: ignore[arg-type]
    return made


def own_tellings() -> Iterator[bytes]:
    """Seeds of `siprec_parties`."""
    for number, documents in enumerate(own_documents()):
        yield bytes([number % len(_RULES)]) + b"sip:201@x\n" + documents
