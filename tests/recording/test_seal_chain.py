import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent.common import files
from agent.common.ids import new_id
from agent.formats.seal import (
    FIRST,
    Addressees,
    SealError,
    Statement,
    seal_digest,
    seal_place,
    segment_digest,
    verify_seal,
)
from agent.formats.sshsig import SigningKey
from agent.recording import seal_chain
from agent.recording.finisher import finish, salvage
from agent.recording.seal_chain import HEAD, SealChain
from agent.recording.spool import SealedObject, Spool
from tests.recording.segments import DAY, Segment, quality, write_segment

KEY = SigningKey.from_seed(bytes(range(32)))
HOST = "host-a"
HOSTS = {HOST: [KEY.public]}
NOW = 1_795_437_300_123_000_000


def chain_of(spool: Spool) -> SealChain:
    chain = SealChain(spool, KEY, HOST, new_id=new_id, utc_ns=lambda: NOW)
    chain.open()
    return chain


def sealed(spool: Spool, *, signs: bool = True) -> Segment:
    segment = write_segment(spool)
    if signs:
        recipient = str(quality().identity.recipient())
        said = Addressees.of(segment.key.recipient, [recipient]).to_bytes()
        spool.addressees_path(segment.id).write_bytes(said)
    finish(segment.job(spool), spool.root)
    return segment


def seal(spool: Spool, chain: SealChain, recording_id: str) -> SealedObject:
    return chain.seal(recording_id, spool.sealed_objects(recording_id))


def read(spool: Spool, recording_id: str) -> tuple[bytes, Statement]:
    data = spool.sealed_path(recording_id, f"{recording_id}.seal").read_bytes()
    return data, verify_seal(data, HOSTS)


def test_what_a_seal_says(spool: Spool) -> None:
    segment = sealed(spool)
    found = seal(spool, chain_of(spool), segment.id)
    data, statement = read(spool, segment.id)
    assert found == SealedObject(
        file=f"{segment.id}.seal",
        target="locked",
        key=f"manifest/{DAY}/{segment.id}.seal",
        sha256=seal_digest(data),
        size=len(data),
    )
    assert (statement.id, statement.host, statement.day) == (
        segment.id,
        HOST,
        "2026-11-23",
    )
    assert (statement.sequence, statement.previous) == (1, FIRST)
    _, audio, facts = spool.sealed_objects(segment.id)
    assert [(one.key, one.sha256, one.size) for one in statement.objects] == [
        (one.key, one.sha256, one.size) for one in (audio, facts)
    ]
    assert statement.segment_key == segment_digest(segment.key.recipient)
    assert len(statement.recipients) == 1
    assert statement.sealed_at == "2026-11-23T12:35:00.123Z"
    assert (
        statement.segment_key.encode()
        not in spool.sealed_path(segment.id, "upload.json").read_bytes()
    )


def test_each_follows_the_one_before_over_a_restart(spool: Spool) -> None:
    chain = chain_of(spool)
    ids = []
    previous = FIRST
    for number in range(1, 6):
        if number == 4:
            chain = chain_of(spool)
        segment = sealed(spool)
        seal(spool, chain, segment.id)
        data, statement = read(spool, segment.id)
        assert (statement.sequence, statement.previous) == (number, previous)
        previous = seal_digest(data)
        ids.append(statement.chain)
        spool.purge(segment.id)
    assert len(set(ids)) == 1


def test_a_seal_is_made_once(spool: Spool) -> None:
    chain = chain_of(spool)
    segment = sealed(spool)
    first = seal(spool, chain, segment.id)
    assert seal(spool, chain, segment.id) == first
    assert seal(spool, chain_of(spool), segment.id) == first
    data, statement = read(spool, segment.id)
    assert chain.head == seal_place(data, statement)


def test_many_threads_do_not_fork_it(spool: Spool) -> None:
    chain = chain_of(spool)
    ids = [sealed(spool).id for _ in range(12)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda one: seal(spool, chain, one), ids * 2))
    statements = sorted((read(spool, one)[1] for one in ids), key=lambda s: s.sequence)
    assert [one.sequence for one in statements] == list(range(1, 13))
    digests = {
        read(spool, one)[1].sequence: seal_digest(read(spool, one)[0]) for one in ids
    }
    assert all(
        one.previous == digests.get(one.sequence - 1, FIRST) for one in statements
    )


def test_what_was_salvaged_is_sealed_too(spool: Spool) -> None:
    segment = write_segment(spool, whole=False)
    said = Addressees.of(segment.key.recipient, ["age1quality"]).to_bytes()
    spool.addressees_path(segment.id).write_bytes(said)
    salvage(segment.id, spool)
    seal(spool, chain_of(spool), segment.id)
    _, statement = read(spool, segment.id)
    [journal] = statement.objects
    assert journal.key.endswith(f"{segment.id}.0.journal")
    assert statement.segment_key == segment_digest(segment.key.recipient)


def test_what_was_recorded_before_the_host_signed(spool: Spool) -> None:
    segment = sealed(spool, signs=False)
    seal(spool, chain_of(spool), segment.id)
    _, statement = read(spool, segment.id)
    assert (statement.segment_key, statement.recipients) == ("", ())


def test_damaged_addressees_do_not_hold_up_a_recording(spool: Spool) -> None:
    segment = sealed(spool)
    spool.sealed_path(segment.id, f"{segment.id}.addressees").write_bytes(bytes(100))
    seal(spool, chain_of(spool), segment.id)
    assert read(spool, segment.id)[1].segment_key == ""


# -- every step may be the last ----------------------------------------------------


class Dead(BaseException):
    """The process is no more."""


def steps(
    monkeypatch: pytest.MonkeyPatch, last: int, error: BaseException
) -> list[str]:
    """Let the calls to the disk end after `last` of them."""
    done: list[str] = []

    def limited(name: str, function):  # type: ignore[no-untyped-def]
        def call(*args, **kwargs):  # type: ignore[no-untyped-def]
            if len(done) == last:
                raise error
            done.append(name)
            return function(*args, **kwargs)

        return call

    for module, name in (
        (os, "fsync"),
        (files, "write_all"),
        (files, "sync_directory"),
        (seal_chain, "sync_directory"),
        (Path, "replace"),
    ):
        monkeypatch.setattr(module, name, limited(name, getattr(module, name)))
    return done


@pytest.mark.parametrize("error", [Dead(), OSError(28, "No space left on device")])
def test_the_chain_holds_whichever_step_is_the_last(
    spool: Spool, error: BaseException
) -> None:
    chain = chain_of(spool)
    first, last = sealed(spool), 0
    seal(spool, chain, first.id)
    broken = 0
    while True:
        segment = sealed(spool)
        with pytest.MonkeyPatch.context() as patch:
            done = steps(patch, last, error)
            try:
                seal(spool, chain, segment.id)
            except (Dead, OSError):
                broken += 1
            whole = len(done) < last or last > 20
        if isinstance(error, Dead):
            chain = chain_of(spool)
        after = sealed(spool)
        # Another goes on first: nothing that may be taken is taken twice.
        for one in (after, segment):
            seal(spool, chain, one.id)
        last += 1
        if whole:
            break
    assert broken >= 8
    found = [read(spool, one) for one in spool.list_sealed()]
    assert len({one.chain for _, one in found}) == 1
    found.sort(key=lambda one: one[1].sequence)
    assert [one.sequence for _, one in found] == list(range(1, len(found) + 1))
    for (data, _), (_, following) in itertools.pairwise(found):
        assert following.previous == seal_digest(data)


# -- what a disk may do to it ------------------------------------------------------


def test_a_head_that_is_damaged_ends_its_chain(spool: Spool) -> None:
    chain = chain_of(spool)
    one, two = sealed(spool), sealed(spool)
    seal(spool, chain, one.id)
    (spool.root / HEAD).write_bytes(b"\0" * 10)
    seal(spool, chain_of(spool), two.id)
    first, second = read(spool, one.id)[1], read(spool, two.id)[1]
    assert first.chain != second.chain
    assert second.sequence == 1


def test_a_head_whose_chain_is_none(spool: Spool) -> None:
    path = spool.root / HEAD
    path.write_bytes(b'{"chain":"","digest":"","sequence":0}\n')
    chain_of(spool)
    assert b'"chain":""' not in path.read_bytes()


def test_a_seal_that_is_damaged_is_said_and_never_uploaded(spool: Spool) -> None:
    segment = sealed(spool)
    chain = chain_of(spool)
    seal(spool, chain, segment.id)
    spool.sealed_path(segment.id, f"{segment.id}.seal").write_bytes(b"junk")
    chain = chain_of(spool)
    with pytest.raises(SealError, match="malformed"):
        seal(spool, chain, segment.id)
    other = sealed(spool)
    seal(spool, chain, other.id)
    assert read(spool, other.id)[1].sequence == 2
