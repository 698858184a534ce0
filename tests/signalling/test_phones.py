import pytest
from hypothesis import given, strategies as st

from agent.signalling.phones import (
    COLUMNS,
    PhoneLine,
    PhonesError,
    format_phones,
    parse_phones,
    users_of,
)
from agent.signalling.sip.digest import Algorithm

HEADER = "user,realm,algorithm,ha1,numbers\n"
MD5, SHA = "0" * 32, "1" * 64
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1).filter(
    lambda name: not set('"\\') & set(name)
)


@given(
    st.lists(
        st.builds(
            PhoneLine,
            user=NAMES,
            realm=NAMES,
            algorithm=st.just(Algorithm.MD5),
            ha1=st.just(MD5),
            numbers=st.sampled_from(["", "201", "201 +358295000201", "*"]),
        )
    )
)
def test_the_file_survives_the_disk(lines: list[PhoneLine]) -> None:
    assert parse_phones(format_phones(lines)) == lines


def test_a_file_as_a_person_writes_it() -> None:
    text = (
        f"{HEADER}201, agency.example, MD5, {MD5}, 201 +358295000201\n"
        f"\n201,agency.example,SHA-256,{SHA},+358295000201\n"
        f"202,agency.example,MD5,{MD5},\n"
    )
    users = users_of(parse_phones(text))
    assert users.realm == "agency.example"
    assert users.algorithms == (Algorithm.MD5,)
    first, second = users.get("201"), users.get("202")
    assert first is not None
    assert second is not None
    assert first.numbers == ("201", "+358295000201")
    assert first.ha1 == {Algorithm.MD5: MD5, Algorithm.SHA_256: SHA}
    assert second.numbers == ("202",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "first line"),
        ("user,realm\n", "first line"),
        (f"{HEADER}201,r,MD5,{MD5}\n", "Line 2 has not 5 fields"),
        (f"{HEADER}201,r,md5,{MD5},\n", "Line 2: the algorithm"),
        (f"{HEADER}201,r,SHA-256,{MD5},\n", "Line 2: ha1"),
        (f"{HEADER}201,r,MD5,{'G' * 32},\n", "Line 2: ha1"),
        (f"{HEADER},r,MD5,{MD5},\n", "Line 2: the user"),
        (f'{HEADER}201,"a""b",MD5,{MD5},\n', "Line 2: the user"),
        (f'{HEADER}"201,r,MD5,{MD5},', "Line 2 is no CSV"),
    ],
)
def test_a_broken_file_is_named_by_its_line(text: str, reason: str) -> None:
    with pytest.raises(PhonesError, match=reason) as caught:
        parse_phones(text)
    assert MD5 not in str(caught.value)
    assert "phone-password" in caught.value.hint


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "one realm"),
        ([PhoneLine("a", "r", Algorithm.MD5, MD5)] * 2, "two lines"),
        (
            [
                PhoneLine("a", "r", Algorithm.MD5, MD5),
                PhoneLine("b", "q", Algorithm.MD5, MD5),
            ],
            "one realm",
        ),
        (
            [
                PhoneLine("a", "r", Algorithm.MD5, MD5),
                PhoneLine("b", "r", Algorithm.SHA_256, SHA),
            ],
            "no algorithm",
        ),
    ],
)
def test_lines_must_go_together(lines: list[PhoneLine], reason: str) -> None:
    with pytest.raises(PhonesError, match=reason):
        users_of(lines)


def test_nothing_secret_is_shown() -> None:
    assert repr(PhoneLine("201", "r", Algorithm.MD5, MD5, "202")) == (
        "PhoneLine(realm='r', algorithm=<Algorithm.MD5: 'MD5'>)"
    )
    assert len(COLUMNS) == 5
