"""`recording-agent check-config`: every mistake, by its path, all at once."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from agent.cli.terminal import console
from agent.common.strict_toml import ConfigError
from agent.service.config import load
from agent.service.material import read_material


def command(*, config: Annotated[Path, Parameter(name=["--config", "-c"])]) -> None:
    """Judge a configuration file and the keys, notices and directory it names.

    Args:
        config: The configuration file.
    """
    errors = console(stderr=True)
    try:
        settings = load(config)
        material = read_material(settings, config.resolve().parent)
    except ConfigError as error:
        for mistake in error.mistakes:
            errors.print(mistake, style="red")
        count = len(error.mistakes)
        errors.print(f"{config}: {count} mistake{'s' if count > 1 else ''}")
        sys.exit(1)
    for warning in material.warnings:
        errors.print(f"warning: {warning}", style="yellow")
    print(f"{config}: no mistakes")
