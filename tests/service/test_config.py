from pathlib import Path

import pytest

from agent.common.strict_toml import ConfigError
from agent.service.config import decode, load

EXAMPLE = Path(__file__).resolve().parents[2] / "config" / "agent.toml"


def minimal() -> dict[str, object]:
    return {
        "agent": {"name": "h", "spool": "spool"},
        "sip": {"listen": ["udp:127.0.0.1:5060"]},
        "peers": [{"name": "trunk", "match": ["127.0.0.1"]}],
        "routes": [
            {
                "name": "r",
                "from": "trunk",
                "number": "1",
                "direction": "inbound",
                "to": ["sip:201@127.0.0.1"],
                "notice": ["fi.wav"],
            }
        ],
        "recording": {"recipients": []},
        "storage": [{"locked_url": "file:///a", "url": "file:///b"}],
    }


def mistakes(raw: dict[str, object]) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        decode(raw)
    return caught.value.mistakes


def test_the_example_is_read_whole() -> None:
    config = load(EXAMPLE)
    assert [route.name for route in config.routes] == [
        "customer-service",
        "officer-calls-out",
    ]
    assert config.media.ports == (20000, 29999)
    assert config.recording.emergency == ("112",)


def test_a_minimal_file_gets_the_defaults() -> None:
    config = decode(minimal())
    assert config.routes[0].codecs == ("PCMA", "PCMU")
    assert config.log.numbers == "masked"


def test_every_mistake_is_named_with_its_path_all_at_once() -> None:
    raw = minimal()
    raw["agent"] = {"name": 1, "colour": "red"}
    raw["sip"] = {"listen": ["udp:nowhere"]}
    raw["peers"] = [{"match": ["x.y"]}, {"name": "p", "match": ["x.y"]}]
    raw["media"] = "yes"
    raw["nonsense"] = {}
    found = mistakes(raw)
    assert "nonsense: unknown key" in found
    assert "agent.colour: unknown key" in found
    assert "agent.spool: missing" in found
    assert any(m.startswith("agent.name: Expected `str`") for m in found)
    assert any(m.startswith("sip: listen entry 'udp:nowhere'") for m in found)
    assert "peers[0].name: missing" in found
    assert any(m.startswith("peers[1]: match entry 'x.y'") for m in found)
    assert "media: a table is expected" in found


def test_what_one_section_says_of_another_is_checked() -> None:
    raw = minimal()
    raw["peers"] = [
        {"name": "trunk", "match": ["127.0.0.1"]},
        {"name": "trunk", "match": ["127.0.0.2"]},
    ]
    raw["routes"] = [
        raw["routes"][0]  # type: ignore[index]
        | {"from": "nobody", "to": ["trunk", "201"], "overflow": "x"}
    ]
    raw["storage"] = []
    raw["media"] = {"ports": [10, 5]}
    raw["sip"] = {"listen": ["tls:127.0.0.1:5061"]}
    assert mistakes(raw) == (
        "peers[1].name: 'trunk' is there twice",
        "routes[0].from: no peer is called 'nobody'",
        "routes[0].to: peer 'trunk' has no uri",
        "routes[0].to: '201' is neither a sip URI nor a peer",
        "routes[0].overflow: 'x' is neither a sip URI nor a peer",
        "tls.certificate: a tls listener needs a certificate and key",
        "storage: at least one [[storage]] is needed",
        "media.ports: two port numbers, 1024 to 65535, are expected",
    )


def test_arrays_of_tables_must_be_arrays() -> None:
    assert mistakes(minimal() | {"peers": {"name": "x"}}) == (
        "peers: an array of tables is expected",
    )


@pytest.mark.parametrize("content", [b"a = ", b"\xff", None])
def test_unreadable_files(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "agent.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"agent\.toml"):
        load(path)


def test_recording_sources_are_peers_one_entry_each() -> None:
    raw = minimal()
    source = {"name": "beside", "from": "trunk", "notice": "statement:It is played."}
    raw["siprec"] = [source]
    assert decode(raw).siprec[0].from_ == "trunk"
    del raw["routes"]
    assert decode(raw).routes == ()
    raw = minimal()
    raw["siprec"] = [
        source | {"name": "r"},
        source | {"name": "beside", "from": "nobody", "officer": ["role:agent"]},
        source,
    ]
    assert [m.partition(": ")[0] for m in mistakes(raw)] == ["siprec[1]"]
    raw["siprec"][1] = source | {"from": "nobody"}  # type: ignore[index]
    assert mistakes(raw) == (
        "siprec[0].name: 'r' is there twice, or a route's",
        "siprec[1].from: no peer is called 'nobody'",
        "siprec[2].from: 'trunk' has an entry already",
        "siprec[2].name: 'beside' is there twice, or a route's",
    )
