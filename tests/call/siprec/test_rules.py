import pytest

from agent.call.siprec.rules import MAX_RULE, Rule, RuleKind, fits, parse_rule


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("directory", Rule(RuleKind.DIRECTORY)),
        ("participant:2", Rule(RuleKind.PARTICIPANT, position=2)),
        ("label:A_leg", Rule(RuleKind.LABEL, pattern="a_leg")),
        ("label:a=b", Rule(RuleKind.LABEL, pattern="a=b")),
        ("aor:*@Officers.example", Rule(RuleKind.AOR, pattern="*@officers.example")),
        (
            "extension:callingParty=False",
            Rule(RuleKind.EXTENSION, "callingparty", "false"),
        ),
        ("extension:agent", Rule(RuleKind.EXTENSION, "agent", "*")),
        ("named:userID", Rule(RuleKind.NAMED, "userid")),
        ("header:X-Agent", Rule(RuleKind.HEADER, "x-agent")),
        ("header:X-Notice=played*", Rule(RuleKind.HEADER, "x-notice", "played*")),
    ],
)
def test_each_kind(text: str, rule: Rule) -> None:
    assert parse_rule(text) == rule


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no rule"),
        ("role:agent", "is no rule: it begins with directory, participant"),
        ("header:" + "x" * MAX_RULE, "at most 256"),
        ("header:X Y", "a name is expected"),
        ("directory:x", "stands alone"),
        ("participant", "something must follow"),
        ("label:", "something must follow"),
        ("participant:0", "count from 1"),
        ("participant:x", "count from 1"),
        ("participant:٢", "count from 1"),
        ("participant:65", "count from 1"),
        ("extension:=x", "a name is expected"),
        ("named:userID=1", "a name is expected"),
    ],
)
def test_what_is_no_rule_is_quoted(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_rule(text)


@pytest.mark.parametrize(
    ("pattern", "text", "does"),
    [
        ("*", "", True),
        ("true", " TRUE\n", True),
        ("sip:9*@*", "sip:9001@192.0.2.1", True),
        ("a?", "abc", False),
        ("played by *", "Played\r\n  by the SBC", True),
    ],
)
def test_patterns(pattern: str, text: str, does: bool) -> None:
    assert fits(pattern, text) is does


def test_a_pattern_is_held_against_a_bounded_text() -> None:
    assert not fits("*z*z*z*z*z*z*b", "z" * 10_000_000)
