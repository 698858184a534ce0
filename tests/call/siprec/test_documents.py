from agent.call.siprec.documents import MAX_KEPT, Document, Documents


def test_a_complete_document_stands_for_all_before_it() -> None:
    kept = Documents()
    kept.add(Document(b"a"), complete=True)
    kept.add(Document(b"b", ("time",)), complete=False)
    assert [one.xml for one in kept.all] == [b"a", b"b"]
    kept.add(Document(b"c"), complete=True)
    assert kept.all == (Document(b"c"),)
    assert Documents(kept.all).all == kept.all


def test_what_is_kept_is_bounded() -> None:
    kept = Documents()
    kept.add(Document(bytes(MAX_KEPT)), complete=True)
    kept.add(Document(b"b"), complete=False)
    assert len(kept.all) == 1
    kept.add(Document(bytes(MAX_KEPT + 1)), complete=True)
    assert not kept.all


def test_a_document_shows_nothing_of_itself() -> None:
    assert "sip:" not in repr(Document(b"sip:alice@atlanta.example"))
