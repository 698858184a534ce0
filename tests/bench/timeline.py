"""An hour of two phones whose clocks differ: how far each click is from its place.

Ends with 1 if a click is missing, doubled, on the wrong side, or 20 ms off.
"""

import argparse
import time
from typing import Final

from tests.formats.click_train import RATE, Click, Hold, Phone, found, make_call

LIMIT_MS: Final = 20.0
ROWS: Final = 12


def holds(seconds: float) -> list[Hold]:
    """Three: the phones' RTP clocks go on, stand still, begin anew."""
    return [
        Hold(seconds * begin, seconds * end, kind)
        for begin, end, kind in (
            (0.15, 0.20, "runs"),
            (0.45, 0.55, "stops"),
            (0.75, 0.77, "restarts"),
        )
    ]


def errors(sent: list[Click], heard: list[Click]) -> dict[tuple[int, int], float]:
    """How late each click is, in milliseconds; ends the bench if one is not there."""
    places = {(click.leg, click.number): click.at for click in heard}
    expected = {(click.leg, click.number): click.at for click in sent}
    if len(places) != len(heard) or places.keys() != expected.keys():
        wrong = sorted(places.keys() ^ expected.keys())
        raise SystemExit(f"clicks missing, doubled or never sent: {wrong[:10]}")
    return {key: (places[key] - at) * 1000 / RATE for key, at in expected.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--ppm", type=float, default=200, help="between the phones")
    parser.add_argument("--loss", type=float, default=0.03)
    parser.add_argument("--jitter", type=float, default=40, help="milliseconds")
    given = parser.parse_args()
    pair = [
        Phone(ppm=sign * given.ppm / 2, loss=given.loss, jitter_ms=given.jitter, seed=n)
        for n, sign in enumerate((1, -1))
    ]
    began = time.process_time()
    call = make_call(
        (pair[0], pair[1]), seconds=given.seconds, holds=holds(given.seconds)
    )
    heard = found(call.track)
    used = time.process_time() - began
    late = errors(call.sent, heard)
    print("from s  to s   clicks  customer ms       officer ms        apart ms")
    for row in range(ROWS):
        low, high = (given.seconds * n / ROWS for n in (row, row + 1))
        _print_row(low, high, call.sent, late)
    for name, leg in zip(("customer", "officer"), call.legs, strict=True):
        figures = leg.figures
        print(
            f"{name}: clock {figures.drift_ppm:+.1f} ppm, {figures.inserted} samples "
            f"put in, {figures.removed} taken out, {figures.lost} packets lost, "
            f"{figures.rebased} clocks begun anew, jitter {figures.jitter_ms:.1f} ms"
        )
    worst = max(map(abs, late.values()))
    print(f"{len(late)} clicks, worst {worst:.2f} ms; {used:.1f} CPU s with the making")
    if worst > LIMIT_MS:
        raise SystemExit(f"more than {LIMIT_MS:.0f} ms off")


def _print_row(
    low: float, high: float, sent: list[Click], late: dict[tuple[int, int], float]
) -> None:
    keys = [(c.leg, c.number) for c in sent if low <= c.at / RATE < high]
    ranges = []
    for leg in (0, 1):
        values = [late[key] for key in keys if key[0] == leg]
        ranges.append(
            f"{min(values):+6.2f} … {max(values):+6.2f}" if values else "-".center(15)
        )
    apart = [
        abs(late[0, number] - late[1, number])
        for leg, number in keys
        if leg == 0 and (1, number) in late
    ]
    furthest = f"{max(apart):6.2f}" if apart else "-"
    print(f"{low:6.0f} {high:6.0f} {len(keys):7}  {'  '.join(ranges)}  {furthest}")


if __name__ == "__main__":
    main()
