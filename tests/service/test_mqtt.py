from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.common.regions import RegionConfig
from agent.common.strict_toml import ConfigError
from agent.events.config import MqttConfig
from agent.events.host_state import Life
from agent.identity.numbers import FINLAND
from agent.recording.ledger import Ledger
from agent.service.broker_access import BrokerAccess
from agent.service.config import decode
from agent.service.host_status import HostStatus
from agent.service.mqtt import Mqtt
from tests.service.test_config import minimal

STATUS = HostStatus(
    spool_used=0.25,
    spool_high_water=0.8,
    spool_free_mb=100,
    spool_alarm=False,
    to_finish=1,
    to_finish_for=None,
    finishing_alarm=False,
    to_store=2,
    to_store_for=None,
    storage_away=False,
)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    ledger = Ledger(tmp_path / "l", hash_key=b"k" * 32, host="h", reserve_bytes=4096)
    await ledger.start()
    yield ledger
    await ledger.close()


def made(ledger: Ledger, **config: Any) -> Mqtt:
    assert ledger.outbox is not None
    mqtt = MqttConfig(url="mqtt://localhost", region="FI", **config)
    access = BrokerAccess(mqtt, RegionConfig())
    return Mqtt("h", access, ledger.outbox, FINLAND)


async def test_numbers_are_shown_by_policy(ledger: Ledger) -> None:
    number = "040 1234567"
    for policy, shown, kept in (
        ("none", "", {}),
        ("masked", "+35840***67", {}),
        ("full", "+35840***67", {"caller": "+358401234567"}),
    ):
        mqtt = made(ledger, numbers=policy)
        mqtt.remember("call", "caller", number)
        assert mqtt.show(number) == shown
        assert mqtt._numbers.of("call") == kept


async def test_the_hosts_state(ledger: Ledger) -> None:
    mqtt = made(ledger)
    assert mqtt._state(Life.ONLINE).calls is None
    mqtt._look = lambda: (3, False, STATUS)
    online = mqtt._state(Life.ONLINE)
    assert (online.calls, online.to_store, online.spool_used) == (3, 2, 0.25)
    assert mqtt._state(Life.OFFLINE).calls is None

    def fails() -> tuple[int, bool, HostStatus]:
        raise OSError("no spool")

    mqtt._look = fails
    assert mqtt._state(Life.ONLINE).calls is None
    assert msgspec.json.encode(online)


def test_a_broker_outside_the_region_is_a_mistake() -> None:
    raw = minimal() | {"mqtt": {"url": "mqtts://broker", "region": "US"}}
    with pytest.raises(ConfigError) as caught:
        decode(raw)
    assert any("mqtt.region" in mistake for mistake in caught.value.mistakes)
