import itertools
from collections.abc import Callable

import pytest

from agent.archive.chain import Chain, Flaw
from agent.formats.audit import Act, Page, make_row, sign_page
from agent.formats.sshsig import SigningKey
from agent.upload.backends.memory import MemoryBackend
from tests.archive.logs import KEY, NOON, OTHER, filled

Objects = dict[str, bytes]


async def objects(days: int = 3, each: int = 4) -> Objects:
    backend = MemoryBackend()
    await filled(backend, days=days, each=each)
    return backend.objects


def followed(log: Objects) -> Chain:
    chain = Chain("gate", [KEY.public])
    for key in sorted(log):
        chain.take(key, log[key])
    return chain


def flaws(log: Objects) -> list[tuple[str, Flaw]]:
    return [(finding.key, finding.flaw) for finding in followed(log).findings]


async def test_a_log_as_it_was_written_has_no_flaw() -> None:
    log = await objects()
    chain = followed(log)
    assert chain.findings == []
    assert (chain.objects, chain.rows) == (len(log), 14)
    assert chain.last_key == max(log)


async def test_every_flipped_object_is_named() -> None:
    log = await objects()
    for key, data in log.items():
        for position in range(0, len(data), 97):
            flipped = bytearray(data)
            flipped[position] ^= 4
            assert flaws(log | {key: bytes(flipped)}) == [(key, Flaw.ALTERED)]


async def test_every_removed_object_is_named() -> None:
    log = await objects()
    for key in sorted(log)[:-1]:
        rest = {other: data for other, data in log.items() if other != key}
        assert flaws(rest) == [(key, Flaw.MISSING)]


async def test_objects_that_changed_places_are_named() -> None:
    log = await objects()
    keys = sorted(log)
    for one, other in itertools.pairwise(keys):
        swapped = log | {one: log[other], other: log[one]}
        assert flaws(swapped) == [(one, Flaw.MOVED), (other, Flaw.MOVED)]


async def test_an_object_that_was_moved_to_another_day_is_named() -> None:
    log = await objects()
    first = min(log)
    moved = first.replace("11/29", "11/28")
    elsewhere = {key: data for key, data in log.items() if key != first}
    assert flaws(elsewhere | {moved: log[first]}) == [(min(elsewhere), Flaw.MOVED)]
    late = first.replace("11/29", "12/05")
    assert (late, Flaw.MOVED) in flaws(log | {late: log[first]})


async def test_a_log_cut_off_is_found_by_what_others_keep() -> None:
    log = await objects()
    heads = {key: data for key, data in log.items() if b'"roll"' in data}
    assert len(heads) == 2
    chain = followed(log)
    chain.compare("second", heads)
    assert chain.findings == []
    for head in heads:
        cut = followed({key: data for key, data in log.items() if key < head})
        cut.compare("second", heads)
        assert (head, Flaw.CUT_OFF) in [(f.key, f.flaw) for f in cut.findings]
        assert str(cut.findings[-1]) == f"{max(heads)}: cut-off (second)"


async def test_a_log_written_anew_by_its_own_key_is_found_by_what_others_keep() -> None:
    log, anew = await objects(), await objects(each=5)
    heads = {key: data for key, data in log.items() if b'"roll"' in data}
    chain = followed(anew)
    assert chain.findings == []
    chain.compare("second", heads)
    assert {finding.key for finding in chain.findings} == set(heads)
    assert {finding.flaw for finding in chain.findings} <= {Flaw.MISSING, Flaw.DIFFERS}


async def test_copies_are_not_believed_blindly() -> None:
    log = await objects()
    head = next(key for key in sorted(log) if b'"roll"' in log[key])
    data = log[head]
    chain = followed(log)
    chain.compare(
        "second",
        {
            head: data.replace(b"gate", b"hate"),
            "audit/other/2026/11/29/000000000001.json": data,
            "strange": data,
        },
    )
    assert [finding.flaw for finding in chain.findings] == [
        Flaw.ALTERED, Flaw.FOREIGN, Flaw.FOREIGN,
    ]  # fmt: skip
    chain = followed(log)
    chain.compare("second", {head: log[min(log)]})
    assert [finding.flaw for finding in chain.findings] == [Flaw.DIFFERS]


def forged(
    change: Callable[[Page], Page], key: SigningKey = KEY, previous: str = "f" * 64
) -> bytes:
    rows = (make_row(1, NOON, "p-17", Act.FIND),)
    return sign_page(
        change(Page(writer="gate", first=1, previous=previous, rows=rows)), key
    )


@pytest.mark.parametrize(
    ("key", "data", "flaw"),
    [
        ("audit/gate/1.json", b"", Flaw.FOREIGN),
        ("audit/host-a/2026/11/29/000000000001.json", b"", Flaw.FOREIGN),
        (
            "audit/gate/2026/11/29/000000000001.json",
            forged(lambda page: page, OTHER),
            Flaw.ALTERED,
        ),
        (
            "audit/gate/2026/11/29/000000000001.json",
            forged(lambda page: page),
            Flaw.REWRITTEN,
        ),
    ],
)
def test_what_is_none_of_the_log(key: str, data: bytes, flaw: Flaw) -> None:
    assert flaws({key: data}) == [(key, flaw)]


def test_a_day_that_is_closed_leads_to_a_later_one() -> None:
    rows = (make_row(1, NOON, "gate", Act.ROLL, detail={"day": "2026-11-29"}),)
    page = Page(writer="gate", first=1, previous="0" * 64, rows=rows)
    key = "audit/gate/2026/11/29/000000000001.json"
    assert flaws({key: sign_page(page, KEY)}) == [(key, Flaw.REWRITTEN)]


async def test_a_chain_may_be_joined_in_the_middle() -> None:
    log = await objects()
    chain = Chain("gate", [KEY.public])
    chain.join()
    for key in sorted(log)[3:]:
        chain.take(key, log[key])
    assert chain.findings == []
