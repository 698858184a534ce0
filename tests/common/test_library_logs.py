import logging

import pytest
import structlog

from agent.common.library_logs import MAX_TEXT, LibraryHandler

NUMBER = "0401234567"


@pytest.fixture
def library() -> logging.Logger:
    logger = logging.Logger("asyncio", logging.WARNING)  # noqa: LOG001 - of this test
    logger.addHandler(LibraryHandler())
    return logger


def test_values_are_left_out_but_for_figures(library: logging.Logger) -> None:
    with structlog.testing.capture_logs() as log:
        library.warning("%s took %.3f seconds", NUMBER, 1.25)
        library.info("not shown")
    assert log == [
        {
            "event": "library_warning",
            "log_level": "warning",
            "logger": "asyncio",
            "said": "str took 1.250 seconds",
            "exc_info": None,
        }
    ]


def test_of_what_failed_the_kind_is_named(library: logging.Logger) -> None:
    error = ValueError(NUMBER)
    with structlog.testing.capture_logs() as log:
        text = f"Task exception was never retrieved\nfuture: <Task {NUMBER}>"
        library.error(text, exc_info=error)
    assert log[0]["event"] == "library_error"
    assert log[0]["said"] == "Task exception was never retrieved"
    assert log[0]["exc_info"] is error


@pytest.mark.parametrize(
    ("text", "values", "said"),
    [
        ("%d of %s", (NUMBER, 3), "%d of %s"),
        ("100 %", (), "100 %"),
        ("%(a)s", ({"a": NUMBER},), "%(a)s"),
        ("x" * 999, (), "x" * MAX_TEXT),
    ],
    ids=["a figure that is none", "no values", "by name", "long"],
)
def test_a_text_that_cannot_be_filled_stays_as_it_is(
    library: logging.Logger, text: str, values: tuple[object, ...], said: str
) -> None:
    with structlog.testing.capture_logs() as log:
        library.warning(text, *values)
    assert log[0]["said"] == said
    assert NUMBER not in str(log)
