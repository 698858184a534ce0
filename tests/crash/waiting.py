"""An agent whose media workers wait a minute for the next main process, and not five
seconds: on a busy machine it may take longer than that to come.

    python -m tests.crash.waiting run --config FILE
"""

from typing import Final

from agent.cli.app import main
from agent.media import control

ORPHAN_SECONDS: Final = 60.0

if __name__ == "__main__":
    control.ORPHAN_SECONDS = ORPHAN_SECONDS  # type: ignore[misc]
    main()
