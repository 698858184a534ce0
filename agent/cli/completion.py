"""`recording-agent completion`: what a shell needs to complete its command lines."""

import sys
from typing import Literal


def command(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print a script for a shell: verbs, options and their values, completed by Tab.

    bash: into /etc/bash_completion.d/recording-agent or
    ~/.local/share/bash-completion/completions/recording-agent; zsh: into a directory
    of $fpath, as _recording-agent; fish: into ~/.config/fish/completions.

    Args:
        shell: The shell it is for.
    """
    # It is the table that this verb stands in.
    from agent.cli.app import app  # noqa: PLC0415

    sys.stdout.write(app.generate_completion(shell=shell))
