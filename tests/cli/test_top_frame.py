from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from agent.cli.top_frame import Scene, frame, paginate
from tests.cli.prepared import CALLS, HOST, NOW, SCENE, alarm, call, leg

ROOT = Path(__file__).parents[2]


def text(scene: Scene, width: int = 80, height: int = 24, page: int = 0) -> list[str]:
    shown = frame(scene, width=width, height=height, page=page)
    return [line.plain.rstrip() for line in shown.lines]


def test_the_readme_shows_what_is_shown() -> None:
    picture = "\n".join(f"    {line}".rstrip() for line in text(SCENE))
    assert picture in (ROOT / "README.md").read_text(encoding="utf-8"), (
        "run scripts/picture-top"
    )


def test_what_matters_is_on_the_first_screen() -> None:
    shown = "\n".join(text(SCENE))
    for words in (
        "6 calls, 3 recorded",
        "ALARM storing_failed storage=hall-b  since 5 m, 7 times",
        "spool 41 % of 90 %, 120.3 GiB free",
        "to store 12 (5 m)",
        "storage fails: hall-b",
        "trunk up  pbx down  officers -",
        "workers 4/4 (1 restart)",
        "MQTT broker up",
        "recorded 118  partial 1  abandoned 9",
        "paused",
        "1:02:05",
        "OPUS*   4.1 %  19 ms",
        "q quits",
    ):
        assert words in shown, words


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("height", [5, 10, 24, 60])
def test_a_frame_is_the_terminals_size(width: int, height: int) -> None:
    shown = frame(SCENE, width=width, height=height)
    assert len(shown.lines) == height
    assert all(line.cell_len <= width for line in shown.lines)


def test_many_calls_are_turned_over() -> None:
    calls = [
        call(f"call-{n:03}", legs=(leg("a", 0, 1), leg("b1", 0, 1))) for n in range(40)
    ]
    quiet = msgspec.structs.replace(HOST, alarms=())
    scene = replace(SCENE, calls=calls, host=quiet)
    seen = []
    for page in range(5):
        shown = frame(scene, width=80, height=24, page=page)
        assert shown.page == page
        seen += [
            line.plain[:8] for line in shown.lines if line.plain.startswith("call-")
        ]
    assert seen == [f"call-{n:03}" for n in range(40)]
    assert "page 5 of 5" in shown.lines[-1].plain
    # Calls end, and pages with them: the last one there is, then.
    assert frame(scene, width=80, height=24, page=9).page == 4


def test_a_call_is_never_torn_between_two_pages() -> None:
    three = call("x", legs=(leg("a", 0, 1), leg("b1", 0, 1), leg("b2", 0, 1)))
    assert [len(page) for page in paginate([three] * 5, 8)] == [2, 2, 1]
    assert paginate([], 8) == [[]]
    assert [len(page) for page in paginate([three] * 2, 1)] == [1, 1]


def test_more_alarms_than_there_is_room_for() -> None:
    alarms = tuple(alarm(f"alarm_{n}", 9 - n, host="x") for n in range(9))
    host = msgspec.structs.replace(HOST, alarms=alarms, draining=True)
    shown = text(replace(SCENE, host=host))
    assert shown[1] == "draining: no new calls are taken"
    assert [line for line in shown if line.startswith("ALARM")] == [
        "ALARM alarm_6  since 3 s",
        "ALARM alarm_7  since 2 s",
        "ALARM alarm_8  since 1 s",
        "ALARM and 6 more: see `recording-agent doctor`",
    ]


def test_a_daemon_that_is_away_is_said() -> None:
    scene = Scene(name="host-a", utc_ns=NOW, away="The daemon cannot be asked: x.")
    shown = "\n".join(text(scene))
    assert "the daemon does not answer: The daemon cannot be asked: x." in shown
    assert "0 calls" in shown
    assert "no call has ended" in shown


def test_what_is_wrong_stands_out() -> None:
    def styles(scene: Scene, words: str) -> set[str]:
        for line in frame(scene, width=80, height=24).lines:
            at = line.plain.find(words)
            if at >= 0:
                spans = line.spans
                inside = [s.style for s in spans if s.start <= at < s.end]
                return {str(style) for style in [line.style, *inside] if style}
        raise AssertionError(words)

    assert "bold red" in styles(SCENE, "4.1 %")
    assert "bold red" in styles(SCENE, "44 ms")
    assert "bold red" not in styles(SCENE, "0.1 %")
    assert "bold red" in styles(SCENE, "down")
    replaced = msgspec.structs.replace
    full = replaced(HOST, spool_alarm=True, spool_used=0.93, broker_away=True)
    assert "bold red" in styles(replace(SCENE, host=full), "93 %")
    assert "bold red" in styles(replace(SCENE, host=full), "away")
    dead = replaced(HOST, workers=(replaced(HOST.workers[0], alive=False),))
    assert "bold red" in styles(replace(SCENE, host=dead), "0/1")
    lost = replaced(HOST.peers[0], registered=False)
    host = replaced(HOST, peers=(lost,))
    assert "bold red" in styles(replace(SCENE, host=host), "unregistered")
    known = replaced(HOST.peers[0], up=None)
    host = replaced(HOST, peers=(known,))
    assert "green" in styles(replace(SCENE, host=host), "registered")


def test_no_more_than_ids_and_words_is_shown() -> None:
    shown = "\n".join(text(SCENE))
    assert CALLS[0].call_id not in shown
    assert CALLS[0].call_id[:8] in shown
