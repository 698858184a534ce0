from tests.call.siprec.recorded import CALLER, Document, two, view


def test_whom_the_directory_knows() -> None:
    assert [one.number for one in view(two()).known] == ["201"]
    assert view().known == ()


def test_who_has_a_number() -> None:
    both = view(two())
    assert both.of_number(CALLER) is both.people[0]
    assert both.of_number("900") is None
    assert both.of_number("") is None
    one = view(Document().party("A", "tel:201"))
    other = one.of_number("900")
    assert other is not None
    assert other.number == "900"
    assert one.of_number(one.number_in("<sip:201@x>")) is one.people[0]
