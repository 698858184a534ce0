"""Ports for tests that name them: others' for every run, so that runs may overlap."""

import os

BASE = 12_000 + os.getpid() % 40 * 400
"Even, with 400 of this run's own; below those the kernel gives to whoever asks."
