"""Whom the rules of a `[[siprec]]` entry pick: sans-IO."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from agent.call.siprec.people import Party, said
from agent.call.siprec.rules import Rule, RuleKind, fits, parse_rule
from agent.call.siprec.view import View

MAX_VALUES: Final = 64
"Of one element or header that are looked at."


def pick(rules: Sequence[str], view: View) -> tuple[Party, ...]:
    """Whom the first rule picks that picks anybody; nobody if none does."""
    for text in rules:
        if picked := tuple(dict.fromkeys(_picked(parse_rule(text), view))):
            return picked
    return ()


def _picked(rule: Rule, view: View) -> Iterable[Party]:
    people = view.people
    match rule.kind:
        case RuleKind.DIRECTORY:
            return view.known
        case RuleKind.PARTICIPANT:
            return people[rule.position - 1 : rule.position]
        case RuleKind.LABEL:
            return (
                one
                for one in people
                if any(fits(rule.pattern, label) for label in one.sends)
            )
        case RuleKind.AOR:
            return (
                one
                for one in people
                if any(fits(rule.pattern, address) for address in one.addresses)
            )
        case RuleKind.EXTENSION:
            return (
                one
                for one in people
                if any(fits(rule.pattern, v) for v in said(one.extensions, rule.name))
            )
        case RuleKind.NAMED:
            return _of_addresses(said(view.extensions, rule.name), view)
        case _:
            # Several addresses of one header stand apart by commas.
            values = (value.split(",") for value in _header_values(rule, view))
            return _of_addresses(chain.from_iterable(values), view)


def _header_values(rule: Rule, view: View) -> Iterator[str]:
    for value in view.invite.headers.get_all(rule.name)[:MAX_VALUES]:
        if fits(rule.pattern, value):
            yield value


def _of_addresses(addresses: Iterable[str], view: View) -> Iterator[Party]:
    for _, address in zip(range(MAX_VALUES), addresses, strict=False):
        if (party := view.of_number(view.number_in(address))) is not None:
            yield party
