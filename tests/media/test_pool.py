import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from agent.formats.codecs.g711 import ULAW_TO_ALAW
from agent.formats.rtp.packet import parse_rtp
from agent.media.errors import MediaError, NoPortsError
from agent.media.events import (
    LegClosed,
    PlayEnded,
    RecordingClosed,
    SourceChanged,
)
from agent.media.strange_codecs import STRANGE_RUN
from agent.model.media import PCMU, Address, Direction, Latch
from tests.media.pairs import (
    FIRST,
    NOTICE,
    continuous,
    packet,
    packets,
    talk,
)
from tests.media.phones import HOST, Phone, Site, audio_bytes, site
from tests.patience import PATIENCE

# -- what a leg hears ---------------------------------------------------------


async def test_notice_ringback_and_conversation_are_one_stream(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await running.connect("call", "c", customer)
    await running.connect("call", "o", officer)
    token = running.pool.play("c", ["notice"])
    notice = await customer.hear_many(11)
    ended = await running.event(PlayEnded)
    running.pool.play("c", ["ringback"], loop=True)
    ringback = await customer.hear_many(5)
    running.pool.bridge("c", "o")
    broken_off = await running.event(PlayEnded)
    sent = await running.latch("o", officer)
    sent += [officer.say(audio_bytes(n)) for n in range(2, 20)]
    heard = notice + ringback
    while heard[-1].payload != parse_rtp(sent[-1]).payload:
        heard.append(await customer.hear())

    assert (ended.leg, ended.token, ended.completed) == ("c", token, True)
    assert (ended.frames, ended.sent_ms) == (11, 220)
    assert 180_000_000 <= ended.ended_ns - ended.started_ns < 2_000_000_000
    assert not broken_off.completed
    played = b"".join(p.payload for p in notice)
    assert played == NOTICE.pcma.ljust(11 * 160, b"\xd5")
    assert continuous(heard)
    assert {p.payload_type for p in heard} == {8}
    assert [p.payload for p in heard[-20:]] == [parse_rtp(p).payload for p in sent]
    starts = [n for n, p in enumerate(heard) if p.marker]
    assert starts == [0, 11, len(heard) - 20]
    for before, after in zip(notice, (notice + ringback)[1:], strict=False):
        assert (after.timestamp - before.timestamp) & 0xFFFFFFFF == 160
    # No frame is sent before its time.
    assert ended.ended_ns - ended.started_ns >= 200_000_000 - 5_000_000


async def test_both_directions_and_both_laws(running: Site, customer: Phone) -> None:
    with Phone(codec=PCMU) as officer:
        await talk(running, customer, officer)
        officer.say(bytes(range(160)))
        heard = await customer.hear()
        assert heard.payload == bytes(range(160)).translate(ULAW_TO_ALAW)
        assert heard.payload_type == 8
        running.pool.play("o", ["notice"])
        assert (await officer.hear()).payload == NOTICE.pcmu[:160]


async def test_a_longer_ptime_is_kept_to(running: Site, customer: Phone) -> None:
    await running.connect("call", "c", customer, ptime=60)
    running.pool.play("c", ["notice"])
    heard = await customer.hear_many(4)
    assert [len(p.payload) for p in heard] == [480] * 4


async def test_telephone_events_pass_and_are_not_journalled(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await running.connect("call", "c", customer, telephone_event=101)
    await running.connect("call", "o", officer, telephone_event=96)
    running.pool.bridge("c", "o")
    await running.latch("c", customer)
    recording = await running.record(("c", "o"))
    digit = b"\x05\x8a\x03\x20"
    event = customer.next_packet(digit, payload_type=101, marker=True)
    customer.send(event)
    last = customer.say(audio_bytes(9))
    heard = await officer.hear_many(4)
    assert (heard[2].payload_type, heard[2].payload, heard[2].marker) == (
        96,
        digit,
        True,
    )
    running.pool.stop_recording(recording, b"{}")
    await running.event(RecordingClosed)
    assert packets(running.journal(recording), 0) == [event[:12], last]


async def test_a_peer_on_hold_is_sent_nothing(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await talk(running, customer, officer)
    running.pool.configure("c", customer.negotiated(direction=Direction.RECVONLY))
    await running.settle()
    officer.say(b"held")
    await running.settle()
    running.pool.configure("c", customer.negotiated())
    await running.settle()
    officer.say(b"resumed")
    assert (await customer.hear()).payload == b"resumed"


async def test_a_notice_waits_for_a_peer_on_hold(
    running: Site, customer: Phone
) -> None:
    await running.connect("call", "c", customer)
    running.pool.configure("c", customer.negotiated(direction=Direction.INACTIVE))
    running.pool.play("c", ["notice"])
    running.pool.configure("c", customer.negotiated())
    heard = await customer.hear_many(11)
    played = b"".join(p.payload for p in heard)
    assert played.startswith(NOTICE.pcma)
    assert (await running.event(PlayEnded)).completed


async def test_playing_to_a_bridged_leg_suspends_the_relay(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await talk(running, customer, officer)
    running.pool.play("c", ["notice"])
    await customer.hear()
    officer.say(b"not heard")
    customer.say(b"still heard")
    assert (await officer.hear()).payload == b"still heard"
    await customer.hear_many(10)
    await running.event(PlayEnded)
    officer.say(b"heard again")
    assert (await customer.hear()).payload == b"heard again"


async def test_a_new_playout_replaces_the_old(running: Site, customer: Phone) -> None:
    await running.connect("call", "c", customer)
    first = running.pool.play("c", ["ringback"], loop=True)
    await customer.hear()
    second = running.pool.play("c", ["notice"])
    ended = await running.event(PlayEnded)
    assert (ended.token, ended.completed) == (first, False)
    running.pool.stop_playing("c")
    ended = await running.event(PlayEnded)
    assert (ended.token, ended.completed) == (second, False)


async def test_unbridged_legs_do_not_hear_each_other(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await talk(running, customer, officer)
    running.pool.unbridge("c")
    await running.settle()
    officer.say(b"alone")
    await running.settle()
    running.pool.bridge("c", "o")
    await running.settle()
    officer.say(b"together")
    assert (await customer.hear()).payload == b"together"


# -- who is believed ----------------------------------------------------------


async def test_strangers_change_nothing(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await talk(running, customer, officer)
    recording = await running.record(("c", "o"))
    with Phone(ssrc=0xBAD) as stranger:
        stranger.agent = customer.agent
        wild = packet(8, 65535, customer.ssrc, b"x" * 160)
        spoofed = [
            b"x",
            b"\x00" * 172,
            bytes(65000),
            wild.to_bytes(),
            *(stranger.next_packet(b"spoofed") for _ in range(20)),
        ]
        said = []
        for data in spoofed:
            stranger.send(data)
            said.append(customer.say(audio_bytes(customer.sequence)))
        heard = await officer.hear_many(len(said))
    assert [p.payload for p in heard] == [parse_rtp(p).payload for p in said]
    running.pool.stop_recording(recording, b"{}")
    await running.event(RecordingClosed)
    assert packets(running.journal(recording), 0) == said
    running.pool.close_leg("c")
    stats = (await running.event(LegClosed)).stats
    assert (stats.received, stats.lost, stats.invalid) == (26, 0, 0)
    assert stats.rivals == stats.ssrc_changes == 0


async def test_before_the_latch_strangers_are_drained(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await running.connect("call", "c", customer, latch=Latch.OFF)
    await running.connect("call", "o", officer)
    running.pool.bridge("c", "o")
    await running.settle()
    with Phone() as stranger:
        stranger.agent = customer.agent
        for _ in range(10):
            stranger.say(b"spoofed")
            customer.say(b"customer")
        heard = await officer.hear_many(10)
    assert {p.payload for p in heard} == {b"customer"}


async def test_garbage_from_the_peer_itself_is_dropped(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await talk(running, customer, officer)
    garbage = [
        b"",
        b"x",
        b"\x00" * 172,
        bytes(5000),
        b"\xbf\x08" + bytes(10),
        packet(77, 1002, customer.ssrc, b"unknown type").to_bytes(),
    ]
    for data in garbage:
        customer.send(data)
    customer.say(b"audio")
    assert (await officer.hear()).payload == b"audio"
    running.pool.close_leg("c")
    assert (await running.event(LegClosed)).stats.invalid == len(garbage)


async def test_an_unknown_source_at_the_peers_address_is_flagged_only(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await talk(running, customer, officer)
    recording = await running.record(("c", "o"))
    said = []
    for n in range(20):
        said.append(customer.say(audio_bytes(n)))
        rival = packet(8, n, 0xBAD, b"rival")
        customer.send(rival.to_bytes())
    heard = await officer.hear_many(20)
    assert {p.payload for p in heard} == {audio_bytes(n) for n in range(20)}
    assert continuous(heard)
    assert (await running.event(SourceChanged)).ssrc_changes == 1
    running.pool.stop_recording(recording, b"{}")
    await running.event(RecordingClosed)
    assert packets(running.journal(recording), 0) == said


async def test_a_codec_that_was_never_agreed_is_told_once(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await talk(running, customer, officer)
    for n in range(STRANGE_RUN + 20):
        customer.send(packet(9, n, customer.ssrc, b"wide band").to_bytes())
        customer.send(packet(13, n, customer.ssrc, b"noise").to_bytes())
    assert (await running.event(SourceChanged)).payload_types == (9,)
    await running.settle()
    assert len(running.told(SourceChanged)) == 1
    running.pool.configure("c", customer.negotiated())
    for n in range(STRANGE_RUN):
        customer.send(packet(9, n, customer.ssrc, b"wide band").to_bytes())
    await running.event(SourceChanged)


async def test_a_header_extension_is_not_relayed_but_journalled(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await talk(running, customer, officer)
    recording = await running.record(("c", "o"))
    plain = customer.next_packet(b"payload")
    extended = b"\x90" + plain[1:12] + b"\xbe\xde\x00\x01abcd" + plain[12:]
    customer.send(extended)
    heard = await officer.hear()
    assert heard.payload == b"payload"
    running.pool.stop_recording(recording, b"{}")
    await running.event(RecordingClosed)
    assert packets(running.journal(recording), 0) == [extended]


async def test_a_moved_peer_is_heard_at_its_new_place(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await talk(running, customer, officer)
    with Phone(ssrc=0xC1) as moved:
        moved.agent = customer.agent
        running.pool.configure("c", moved.negotiated())
        await running.settle()
        customer.say(b"old")
        customer.say(b"old")
        await running.latch("c", moved)
        customer.say(b"old")
        moved.say(b"new")
        heard = await officer.hear_many(3)
        assert [p.payload for p in heard][-1] == b"new"
        assert b"old" not in {p.payload for p in heard}
        assert continuous(heard)
        officer.say(b"to the new place")
        assert (await moved.hear()).payload == b"to the new place"


async def test_a_phone_that_does_not_listen_kills_nothing(
    running: Site, customer: Phone, officer: Phone
) -> None:
    await talk(running, customer, officer)
    customer.rtp.close()
    for n in range(10):
        officer.say(audio_bytes(n))
    running.pool.play("o", ["notice"])
    await officer.hear_many(11)
    assert (await running.event(PlayEnded)).completed
    assert running.pool.stats.workers_lost == 0


# -- RTCP and ports -----------------------------------------------------------


async def test_a_port_is_drained_before_the_next_call_has_it(
    tmp_path: Path, customer: Phone, officer: Phone
) -> None:
    async with site(tmp_path, ports=(FIRST, FIRST + 1), drain=0.2) as running:
        await running.connect("one", "c", customer)
        with pytest.raises(NoPortsError):
            await running.pool.open_leg("two", "o")
        running.pool.close_leg("c")
        await running.event(LegClosed)
        with pytest.raises(NoPortsError):
            await running.pool.open_leg("two", "o")
        customer.say(b"late")
        customer.say(b"late")
        drained = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    await running.connect("two", "o", officer)
                    break
                except NoPortsError:
                    await asyncio.wait({drained}, timeout=0.05)
        assert officer.agent == customer.agent
        await running.latch("o", officer)
        running.pool.close_leg("o")
        assert (await running.event(LegClosed)).stats.foreign == 0


async def test_addresses_told_to_peers(tmp_path: Path) -> None:
    async with site(tmp_path, ports=(FIRST, FIRST + 99)) as running:
        pool = running.pool
        assert (await pool.open_leg("one", "a")) == Address(HOST, FIRST)
        assert (await pool.open_leg("one", "b", address="::1")).host == "::1"
        with pytest.raises(MediaError, match="already"):
            await pool.open_leg("one", "a")
        with Phone() as phone:
            bad = replace(phone.negotiated(), remote=Address("phone.example", 4000))
        with pytest.raises(MediaError, match="no IP address"):
            pool.configure("a", bad)


async def test_a_directory_that_cannot_be_used_refuses_the_start(
    tmp_path: Path,
) -> None:
    (tmp_path / "run").write_bytes(b"a file")
    with pytest.raises(MediaError, match="cannot be used"):
        async with site(tmp_path, ports=(FIRST, FIRST + 1)):
            raise AssertionError
