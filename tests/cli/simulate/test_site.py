import socket

import pytest

from agent.cli.simulate.site import SimulationError, free_port, site_of
from agent.media.sound import Sound
from agent.model.media import PCMU, Address
from agent.service.config import Config, load
from tests.cli.conftest import DiskSite

TEST = """\
[[peers]]
name = "simulate"
match = ["tls:pbx.example", "192.0.2.0/24", "127.0.0.1:5066"]
[[routes]]
name = "simulate"
from = "simulate"
number = "000000"
direction = "inbound"
to = ["sip:test@127.0.0.1:5067"]
notice = ["fi.wav"]
codecs = ["opus", "PCMU", "PCMA"]
test = true
[officers]
"""
SOUND = Sound(name="fi", sha256="", duration_ms=1000, pcma=b"\xd5", pcmu=b"\xff")


def config(
    site: DiskSite, *, before: str = "", after: str = "", test: str = TEST
) -> Config:
    path = site.write()
    text = path.read_text().replace("[officers]\n", test)
    assert before in text
    path.write_text(text.replace(before, after, 1) if before else text)
    return load(path)


def test_a_call_is_placed_as_the_route_says(disk_site: DiskSite) -> None:
    site = site_of(config(disk_site), {"fi.wav": SOUND}, "")
    assert site.route.name == "simulate"
    assert site.agent == Address("127.0.0.1", disk_site.sip)
    assert site.caller == Address("127.0.0.1", 5066)
    assert (site.officer, site.officer_user) == (Address("127.0.0.1", 5067), "test")
    assert site.codec == PCMU
    assert site.notices == (SOUND,)
    assert site_of(config(disk_site), {"fi.wav": SOUND}, "simulate") == site


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("test = true", "test = false", "test = true"),
        (
            'direction = "inbound"\nto = ["sip:test',
            'direction = "outbound"\nto = ["sip:test',
            "inbound",
        ),
        ('number = "000000"', 'number = "000*"', "number"),
        (', "127.0.0.1:5066"', "", "5066"),
        ('codecs = ["opus", "PCMU", "PCMA"]', 'codecs = ["opus"]', "PCMA"),
        ('"sip:test@127.0.0.1:5067"', '"trunk"', "sip:USER@"),
        ('"sip:test@127.0.0.1:5067"', '"sip:127.0.0.1:5067"', "sip:USER@"),
        ("udp:", "tcp:", "udp:"),
    ],
)
def test_what_the_configuration_lacks_is_said(
    disk_site: DiskSite, before: str, after: str, said: str
) -> None:
    with pytest.raises(SimulationError) as caught:
        site_of(config(disk_site, before=before, after=after), {"fi.wav": SOUND}, "")
    assert said in str(caught.value)
    assert caught.value.hint


def test_a_route_that_is_not_for_tests_takes_none(disk_site: DiskSite) -> None:
    with pytest.raises(SimulationError, match="'in'"):
        site_of(config(disk_site), {"fi.wav": SOUND}, "in")


def test_a_port_for_audio_is_even_and_free() -> None:
    port = free_port("127.0.0.1")
    assert port % 2 == 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.bind(("127.0.0.1", port))
    with pytest.raises(SimulationError, match="no address of this host"):
        free_port("192.0.2.1")
