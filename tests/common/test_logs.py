import io
import json

import structlog

from agent.common.logs import Told, configure, listen, set_level


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_lines_are_json_with_time_and_level() -> None:
    stream = io.StringIO()
    configure("info", stream)
    log = structlog.get_logger().bind(call_id="c")
    log.info("call_begun", route="r")
    log.debug("not shown")
    [line] = lines(stream)
    assert line["event"] == "call_begun"
    assert line["call_id"] == "c"
    assert line["level"] == "info"
    assert str(line["time"]).endswith("Z")
    structlog.reset_defaults()


def test_no_line_is_lost_to_a_value_json_does_not_know() -> None:
    stream = io.StringIO()
    configure("info", stream)
    structlog.get_logger().info("odd", what=complex(1, 2))
    [line] = lines(stream)
    assert line["what"] == "(1+2j)"
    structlog.reset_defaults()


def test_an_exception_is_named_by_type_and_place_never_by_its_values() -> None:
    stream = io.StringIO()
    configure("debug", stream)
    try:
        int("0401234567x")
    except ValueError as error:
        structlog.get_logger().critical("failed", exc_info=error)
    [line] = lines(stream)
    assert line["error"] == "ValueError"
    assert "test_logs.py" in str(line["where"])
    assert "0401234567" not in stream.getvalue()
    structlog.reset_defaults()


def test_the_level_changes_while_loggers_are_in_use() -> None:
    stream = io.StringIO()
    configure("warning", stream)
    log = structlog.get_logger().bind(call_id="c")
    log.info("first")
    set_level("debug")
    log.debug("second")
    set_level("error")
    log.warning("third")
    assert [line["event"] for line in lines(stream)] == ["second"]
    structlog.reset_defaults()


def test_who_listens_hears_what_is_shown_and_all_of_the_catalogue() -> None:
    stream = io.StringIO()
    configure("error", stream)
    heard: list[Told] = []
    end = listen(heard.append)
    log = structlog.get_logger().bind(peer="trunk")
    log.info("call_begun")
    log.error("peer_down")
    log.info("peer_up")
    log.warning("keys_in_the_clear", towards="b")
    end()
    log.error("peer_down")
    assert [(told.event, told.level) for told in heard] == [
        ("peer_down", "error"),
        ("peer_up", "info"),
        ("keys_in_the_clear", "warning"),
    ]
    assert heard[2].fields == {"peer": "trunk", "towards": "b"}
    assert [line["event"] for line in lines(stream)] == ["peer_down", "peer_down"]
    structlog.reset_defaults()
