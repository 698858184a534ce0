"""Ports for tests that name them: others' for every run, so that runs may overlap.

They lie below those that the kernel gives to whoever asks, in blocks. The first TCP
port of a block, bound as long as its owner lives, tells other processes whose it is.
"""

import atexit
import os
import socket
from typing import Final

HOST: Final = "127.0.0.1"
BLOCK: Final = 100
"Ports claimed at once; nobody asks for half as many by `free_ports`."
BLOCKS: Final = range(15_000, 32_000, BLOCK)
MAX_BLOCKS: Final = 10
"After that many, `free_ports` gives out again whose users are long gone."

_signs: dict[int, socket.socket] = {}
"Of all blocks of ours."
_shared: list[int] = []
"Those that `free_ports` gives out, the longest unused first."
_ports: list[int] = []
"Of the last of them, those to be given out next."


def span(count: int) -> int:
    """The first of so many ports side by side, for whoever asks alone; it is even."""
    return _claim(-(-count // BLOCK))


def free_ports(count: int) -> list[int]:
    """Even ports, UDP and TCP, side by side, that nobody uses now."""
    for _ in range(2 * MAX_BLOCKS):
        run: list[int] = []
        for port in _ports:
            run = [*run, port] if _is_free(port) else []
            if len(run) == count:
                del _ports[: _ports.index(port) + 1]
                return run
        _ports[:] = _next_block()
    raise RuntimeError(f"no {count} free ports side by side")


def _next_block() -> range:
    # Once more the oldest of ours, where there are enough.
    first = _shared.pop(0) if len(_shared) == MAX_BLOCKS else _claim(1)
    _shared.append(first)
    return range(first + 2, first + BLOCK, 2)


def _claim(blocks: int) -> int:
    """The first port of so many blocks side by side that no other run on this host has.

    Raises RuntimeError if there are none.
    """
    here = os.getpid() % len(BLOCKS)
    for at in (*range(here, len(BLOCKS) - blocks), *range(here)):
        wanted = BLOCKS[at : at + blocks]
        taken: dict[int, socket.socket] = {}
        for first in wanted:
            if first in _signs or (sign := _bound(first)) is None:
                break
            taken[first] = sign
        if len(taken) == blocks:
            _signs.update(taken)
            return wanted[0]
        for sign in taken.values():
            sign.close()
    raise RuntimeError("other test runs hold every block of ports")


def _bound(port: int) -> socket.socket | None:
    sign = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sign.bind((HOST, port))
    except OSError:
        sign.close()
        return None
    return sign


def _is_free(port: int) -> bool:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
    ):
        try:
            udp.bind((HOST, port))
            tcp.bind((HOST, port))
        except OSError:
            return False
    return True


@atexit.register
def _take_signs_down() -> None:
    for sign in _signs.values():
        sign.close()
