"""The description of the interface. tests/integration/test_gate_api.py tries it all."""

from tests.gate.rig import Rig


async def test_the_description_names_every_act_and_no_page_of_scripts(rig: Rig) -> None:
    described = (await rig.as_("quinn").get("/openapi.json")).json()
    assert set(described["paths"]) == {
        "/releases", "/find", "/recordings/{recording_id}/state",
        "/recordings/{recording_id}/restriction", "/recordings/{recording_id}/holds",
        "/recordings/{recording_id}/holds/{hold_id}",
        "/recordings/{recording_id}/annotations",
        "/recordings/{recording_id}/envelope", "/requests",
        "/requests/{request_id}/execute", "/day-keys", "/audit", "/audit/verify",
        "/sweep",
    }  # fmt: skip
    assert (await rig.as_("quinn").get("/docs")).status_code == 404


async def test_other_paths_and_methods_are_one_word(rig: Rig) -> None:
    answer = await rig.as_("quinn").get("/keys")
    assert (answer.status_code, answer.json()["error"]) == (404, "no-such-path")
    answer = await rig.as_("quinn").put("/find")
    assert (answer.status_code, answer.json()["error"]) == (405, "no-such-method")


async def test_a_fault_of_ours_names_no_value(rig: Rig) -> None:
    held = await rig.store()

    async def broken(recording_id: str) -> None:
        raise OSError(5, "Input/output error")

    rig.parts.states.read = broken  # type: ignore[method-assign, assignment]
    answer = await rig.release("quinn", held)
    assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
