"""What every test run can do beside running tests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.lab.ceph import Ceph
from tests.lab.interop import Complete, Interop

# How long an example takes is the machine's, and judged nowhere.
settings.register_profile(
    "timeless",
    parent=settings(),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("timeless")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lab", "real peers")
    group.addoption(
        "--complete",
        action="store_true",
        help="a test skipped for want of a peer or a corpus is a failure",
    )
    group.addoption(
        "--interop-results",
        type=Path,
        metavar="FILE",
        help="write what tests marked `interop` proved, as JSON",
    )
    group.addoption(
        "--debian",
        choices=("bookworm", "trixie"),
        default="bookworm",
        help="which Debian, and so which systemd, is booted where either will do",
    )
    group.addoption(
        "--rights-table",
        type=Path,
        metavar="FILE",
        help="write what became of each operation tried with a host's credentials",
    )


def pytest_configure(config: pytest.Config) -> None:
    interop = Interop(config.getoption("--interop-results"))
    config.pluginmanager.register(interop, "interop")
    if config.getoption("--complete"):
        config.pluginmanager.register(Complete(), "complete")


@pytest.fixture(scope="session")
def debian(request: pytest.FixtureRequest) -> str:
    """The suite of what is booted."""
    return str(request.config.getoption("--debian"))


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ceph]:
    """One object store for the whole run; each test has buckets of its own."""
    cluster = Ceph(tmp_path_factory.mktemp("ceph"))
    yield cluster
    cluster.stop()


@pytest.fixture
def log() -> Iterator[list[dict[str, Any]]]:
    """What is logged meanwhile, by whomever; audio and keys never are."""
    entries: list[dict[str, Any]] = []

    def take(_: Any, level: str, event: Any) -> Any:
        entries.append({**event, "level": level})
        raise structlog.DropEvent

    structlog.configure(processors=[take], cache_logger_on_first_use=False)
    yield entries
    structlog.reset_defaults()
