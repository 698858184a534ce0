import msgspec
import pytest

from agent.events.config import MqttConfig

CERTIFICATE = {"certificate": "c.pem", "key": "k.pem"}


def read(**values: object) -> MqttConfig:
    return msgspec.convert(values, MqttConfig)


def test_nothing_is_configured_by_default() -> None:
    assert read().url == ""


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("mqtts://broker.example", "broker.example", 8883),
        ("mqtts://broker.example:1", "broker.example", 1),
        ("mqtts://[2001:db8::1]:88/", "2001:db8::1", 88),
        ("mqtt://localhost", "localhost", 1883),
        ("mqtt://127.0.0.1:1884", "127.0.0.1", 1884),
        ("mqtt://[::1]", "::1", 1883),
    ],
)
def test_where_the_broker_is(url: str, host: str, port: int) -> None:
    config = read(url=url)
    assert (config.host, config.port) == (host, port)
    assert config.destination.url == url
    assert config.is_tls == url.startswith("mqtts")


@pytest.mark.parametrize(
    "url",
    [
        "mqtt://broker.example",
        "mqtt://10.0.0.1",
        "https://broker.example",
        "mqtts://",
        "mqtts://h:0",
        "mqtts://h:99999",
        "mqtts://h/path",
        "mqtts://user@h",
        "mqtts://h?x=1",
        "mqtts://h#x",
    ],
)
def test_a_url_of_no_broker(url: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="url must be"):
        read(url=url)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"certificate": "c.pem"}, "come together"),
        ({"key": "k.pem"}, "come together"),
        ({"user": "u"}, "come together"),
        ({"password": "p"}, "come together"),
        ({"url": "mqtt://localhost", "ca": "ca.pem"}, "are for mqtts"),
        ({"url": "mqtt://localhost", **CERTIFICATE}, "are for mqtts"),
        ({"max_events": 1}, ">= 1000"),
        ({"commands": ["reboot"]}, "Invalid enum value"),
        ({"numbers": "some"}, "Invalid enum value"),
    ],
)
def test_what_does_not_go_together(values: dict[str, object], why: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=why):
        read(**({"url": "mqtts://h"} | values))


def test_stopping_a_recording_is_off_by_default() -> None:
    assert "stop-recording" not in read(url="mqtts://h").commands
    assert "drain" not in read(url="mqtts://h").commands
