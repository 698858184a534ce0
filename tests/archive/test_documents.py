import pytest

from agent.archive.documents import PLAIN, DocumentError, SignedDocuments
from agent.formats.sshsig import Namespace
from tests.archive.logs import KEY, OTHER

LINE = b'{"version":1}\n'


def test_the_gate_believes_its_own_and_no_other() -> None:
    gate = SignedDocuments(KEY, lambda: [KEY.public])
    sealed = gate.sealed(LINE, Namespace.STATE)
    assert gate.opened(sealed, Namespace.STATE) == LINE
    for data, namespace in (
        (sealed, Namespace.MARK),
        (LINE, Namespace.STATE),
        (sealed.replace(b"1", b"2", 1), Namespace.STATE),
        (SignedDocuments(OTHER, list).sealed(LINE, Namespace.STATE), Namespace.STATE),
    ):
        with pytest.raises(DocumentError, match="not signed by the gate"):
            gate.opened(data, namespace)


def test_an_earlier_key_of_the_gate_counts_as_long_as_the_roster_has_it() -> None:
    old = SignedDocuments(OTHER, list).sealed(LINE, Namespace.STATE)
    keys = [KEY.public, OTHER.public]
    gate = SignedDocuments(KEY, lambda: keys)
    assert gate.opened(old, Namespace.STATE) == LINE
    keys.pop()
    with pytest.raises(DocumentError):
        gate.opened(old, Namespace.STATE)


def test_without_a_gate_they_are_as_they_are() -> None:
    assert PLAIN.sealed(LINE, Namespace.MARK) == LINE
    assert PLAIN.opened(LINE, Namespace.MARK) == LINE
    signed = SignedDocuments(KEY, list).sealed(LINE, Namespace.MARK)
    assert PLAIN.opened(signed, Namespace.MARK) == LINE
