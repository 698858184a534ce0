"""What is told in numbers: metrics, a day's summary, outcomes that do not come."""

from contextlib import AsyncExitStack
from pathlib import Path

from agent.common.clock import utc_ns
from agent.common.tasks import TaskSet
from agent.recording.tally import read_open_answered
from agent.service.daily import Daily
from agent.service.metrics.endpoint import Parts, build_endpoint, routes_of_tests
from agent.service.outcome_watch import watch_outcomes


async def start_counting(
    parts: Parts, base: Path, *, root: Path, stack: AsyncExitStack, tasks: TaskSet
) -> None:
    """Count from now on, in `tasks`; what is to be closed at a stop goes to `stack`.

    `base` is the directory that configured paths are below, `root` the spool. Raises
    AgentError if nobody can listen where metrics are to be asked for.
    """
    endpoint = build_endpoint(base, parts)
    if endpoint is not None:
        await endpoint.start()
        stack.push_async_callback(endpoint.close)
        tasks.spawn(endpoint.run(), name="loop-lag")

    def tests() -> list[str]:
        return routes_of_tests(parts.config())

    def open_answered() -> list[str]:
        return read_open_answered(root / "ledger.sqlite", tests=tests())

    daily = Daily(root, parts.ledger.tell, utc_ns=utc_ns, tests=tests)
    tasks.spawn(daily.run(), name="daily")
    tasks.spawn(watch_outcomes(open_answered, parts.control.runs), name="outcomes")
