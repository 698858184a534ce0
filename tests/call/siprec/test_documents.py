from agent.call.siprec.documents import MAX_SAVED, Document, Documents
from agent.model.recording import MAX_DOCUMENTS, MAX_METADATA


def test_a_complete_document_stands_for_all_before_it() -> None:
    kept = Documents()
    kept.add(Document(b"a"), complete=True)
    kept.add(Document(b"b", ("time",)), complete=False)
    assert [one.xml for one in kept.all] == [b"a", b"b"]
    kept.add(Document(b"c"), complete=True)
    assert kept.all == (Document(b"c"),)
    assert Documents(kept.state).all == kept.all


def test_no_more_is_kept_than_a_segment_takes() -> None:
    kept = Documents()
    kept.add(Document(bytes(MAX_METADATA)), complete=True)
    kept.add(Document(b"b"), complete=False)
    assert len(kept.all) == 1
    kept.add(Document(b"a"), complete=True)
    for _ in range(MAX_DOCUMENTS):
        kept.add(Document(b"b"), complete=False)
    assert len(kept.all) == MAX_DOCUMENTS


def test_what_is_long_is_not_saved_for_another_process() -> None:
    kept = Documents()
    kept.add(Document(b"a"), complete=True)
    kept.add(Document(bytes(MAX_SAVED)), complete=False)
    assert len(kept.all) == 2
    assert kept.state == (Document(b"a"),)


def test_a_document_shows_nothing_of_itself() -> None:
    assert "sip:" not in repr(Document(b"sip:alice@atlanta.example"))
