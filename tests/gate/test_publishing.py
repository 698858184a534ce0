from datetime import timedelta

from agent.formats.day_keys import verify_day_keys
from agent.gate.publishing import LISTS, latest, latest_serial, publish
from tests.gate.rig import TODAY, Rig


async def test_the_newest_list_is_what_is_found(rig: Rig) -> None:
    state = rig.parts.archive.state
    assert await latest(state) is None
    assert await latest_serial(state) == 0
    await rig.parts.keyring.generate_until(TODAY + timedelta(3), today=TODAY)
    for serial in range(1, 7):
        assert await publish(rig.parts) == serial
    assert await latest_serial(state) == 6
    signed = await latest(state)
    assert signed is not None
    found = verify_day_keys(signed, rig.parts.roster().gate_keys(), floor=6)
    assert len(found.keys) == 4
    assert len([info async for info in state.list(LISTS)]) == 4


async def test_people_and_hosts_get_the_list(rig: Rig) -> None:
    answer = await rig.as_("otso").get("/day-keys")
    assert (answer.status_code, answer.json()["error"]) == (503, "no-list")
    await publish(rig.parts)
    for name in ("otso", "host-b"):
        answer = await rig.as_(name).get("/day-keys")
        assert answer.status_code == 200
        assert verify_day_keys(answer.content, rig.parts.roster().gate_keys())
    assert (await rig.as_("eve").get("/day-keys")).status_code == 403
