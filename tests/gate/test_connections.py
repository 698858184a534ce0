from agent.gate.connections import Connections


def test_one_certificate_and_one_address_have_their_share() -> None:
    open_ = Connections(of_certificate=2, of_address=3)
    assert [open_.take("a", "x") for _ in range(3)] == ["", "", "certificate"]
    assert [open_.take("b", "x") for _ in range(2)] == ["", "address"]
    # What was refused is not counted.
    assert [open_.take("b", "y") for _ in range(2)] == ["", "certificate"]
    open_.give_back("a", "x")
    assert open_.take("c", "x") == ""
    assert open_.take("c", "x") == "address"


def test_that_more_were_refused_is_told_once_until_they_are_few() -> None:
    open_ = Connections(of_certificate=4, of_address=9)
    for _ in range(4):
        open_.take("a", "x")
    assert [open_.is_news("certificate", "a") for _ in range(3)] == [True, False, False]
    open_.give_back("a", "x")
    assert not open_.is_news("certificate", "a")
    open_.give_back("a", "x")
    assert open_.is_news("certificate", "a")


def test_nothing_is_left_of_those_that_are_closed() -> None:
    open_ = Connections()
    for n in range(1000):
        open_.take(f"{n}", f"{n}")
        open_.give_back(f"{n}", f"{n}")
    assert not open_._open
