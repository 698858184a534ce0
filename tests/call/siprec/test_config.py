from typing import Any

import pytest

from agent.call.siprec.config import SiprecConfig
from agent.call.siprec.rules import Rule, RuleKind


def entry(**changes: Any) -> SiprecConfig:
    fields = {"name": "beside", "from_": "sbc", "notice": "statement:The SBC plays it."}
    return SiprecConfig(**(fields | changes))


def test_the_defaults_are_the_strict_ones() -> None:
    made = entry()
    assert made.recognise == "strict"
    assert made.on_notice_failure == "discard"
    assert made.on_recording_failure == "refuse"
    assert made.direction == "decide"
    assert entry(redirect="sips:other.example").redirect == "sips:other.example"
    assert (made.officer, made.caller, made.calling) == ((), (), ())


def test_a_notice_is_stated_or_seen() -> None:
    assert entry().statement == "The SBC plays it."
    seen = entry(notice="header:X-Notice=played")
    assert seen.statement == ""
    assert seen.notice_rule == Rule(RuleKind.HEADER, "x-notice", "played")
    assert entry(notice="extension:announced=1").notice_rule.name == "announced"


def test_which_headers_of_an_invite_count() -> None:
    assert entry(officer=("directory",)).headers == frozenset()
    rules = entry(
        officer=("header:X-Agent", "directory"),
        caller=("header:From",),
        calling=("extension:x",),
        notice="header:X-Notice",
    )
    assert rules.headers == {"x-agent", "from", "x-notice"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"codecs": ()}, "codecs must name some of"),
        ({"codecs": ("G729",)}, "codecs must name some of"),
        ({"max_pause": -1.0}, "max_pause"),
        ({"max_pause": 3601.0}, "max_pause"),
        ({"redirect": "other"}, "redirect: "),
        ({"redirect": "sip:@"}, "redirect: "),
        ({"redirect": "tel:1"}, "redirect must be a sip URI"),
        ({"officer": ("boss",)}, "'boss' is no rule"),
        ({"caller": ("participant:0",)}, "count from 1"),
        ({"calling": ("aor:",)}, "something must follow"),
        ({"notice": "statement: "}, "a statement has"),
        ({"notice": "statement:" + "x" * 501}, "a statement has"),
        ({"notice": "participant:1"}, "notice must begin with"),
        ({"notice": "it is played"}, "notice must begin with"),
        ({"notice": ""}, "notice must begin with"),
        ({"notice": "header:" + "x" * 300}, "at most 256"),
        ({"notice": "header:X-Told yes"}, "a name is expected"),
        ({"officer": ("label:" + "x" * 300,)}, "at most 256"),
        ({"name": " "}, "name must say something"),
    ],
)
def test_mistakes_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        entry(**changes)
