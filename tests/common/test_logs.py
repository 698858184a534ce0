import io
import json

import structlog

from agent.common.logs import configure, set_level


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


def test_the_level_may_change_under_loggers_that_are_in_use() -> None:
    stream = io.StringIO()
    configure("warning", stream)
    log = structlog.get_logger().bind(call_id="c")
    log.info("not shown")
    log.critical("shown")
    set_level("debug")
    log.debug("shown too")
    set_level("info")
    log.debug("not shown")
    assert [line["event"] for line in lines(stream)] == ["shown", "shown too"]
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
