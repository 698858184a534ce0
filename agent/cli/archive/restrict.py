"""`recording-agent archive restrict`: nobody but case handlers (Article 18)."""

from agent.access.standing import restrict
from agent.cli.archive.common import Config, at_desk
from agent.cli.terminal import console


def command(
    recording: str,
    /,
    *,
    reason: str = "disputed",
    reference: str = "",
    config: Config = None,
) -> None:
    """Let nobody but case handlers open a recording, from the next answer on.

    What was released before cannot be recalled; `audit` lists it.

    Args:
        recording: The recording's id.
        reason: Why, in one word, like `disputed` or `unlawful`.
        reference: Number of the case.
        config: See above.
    """
    at_desk(config, lambda desk: restrict(desk, recording, reason, reference))
    console().print(f"{recording} is restricted")
