"""Entry point: the gate's own libraries are an extra, and may not be there."""

import sys
from typing import Final

_EXTRA: Final = frozenset({"fastapi", "starlette", "uvicorn", "h11"})


def main() -> None:
    """Run the command, or say what is to be installed."""
    try:
        # Not above: what is missing is to be said, not raised.
        from agent.gate.main import main as run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        print(
            f"recording-agent-gate: {error.name} is not installed. Install the"
            " product with its extra: recording-agent[gate].",
            file=sys.stderr,
        )
        sys.exit(1)
    run()


if __name__ == "__main__":
    main()
