from msgspec.structs import replace

from agent.call.siprec.config import SiprecConfig
from agent.service.config import Config, decode
from agent.service.reloadable import merged
from tests.service.test_config import minimal


def config() -> Config:
    return decode(minimal())


def test_what_is_the_same_needs_nothing() -> None:
    assert merged(config(), config()) == (config(), ())


def test_what_calls_go_by_may_change() -> None:
    old = config()
    new = replace(
        old,
        agent=replace(old.agent, drain=9.0),
        peers=(*old.peers, replace(old.peers[0], name="another")),
        routes=(),
        siprec=(SiprecConfig(name="s", from_="another", notice="header:X"),),
        officers=replace(old.officers, directory="others.csv"),
        tls=replace(old.tls, verify_client="required"),
        log=replace(old.log, level="debug"),
        recording=replace(
            old.recording, recipients=("a", "b"), emergency=("110",), exempt=("1",)
        ),
    )
    assert merged(old, new) == (new, ())


def test_what_processes_are_made_of_is_named_and_stays() -> None:
    old = config()
    new = replace(
        old,
        agent=replace(old.agent, name="other", spool="elsewhere", drain=9.0),
        sip=replace(old.sip, listen=("udp:127.0.0.1:5061",)),
        media=replace(old.media, ports=(30000, 30099)),
        storage=(),
        log=replace(old.log, numbers="full"),
        recording=replace(old.recording, format="flac", exempt=("1",)),
    )
    found, left = merged(old, new)
    assert left == (
        "agent.name",
        "agent.spool",
        "sip.listen",
        "storage",
        "recording.format",
        "media.ports",
        "log.numbers",
    )
    assert found == replace(
        old,
        agent=replace(old.agent, drain=9.0),
        recording=replace(old.recording, exempt=("1",)),
    )
