"""What the manifest says of a recording's quality, as a table."""

from rich.table import Table

from agent.formats.manifest import LegFigures, Manifest

_COLUMNS = (
    "",
    "verdict",
    "MOS",
    "lost",
    "longest gap",
    "jitter",
    "drift",
    "silence",
    "clipped",
)


def quality_table(manifest: Manifest) -> Table:
    """A line for each leg, under the verdict on the whole. It fits 80 columns."""
    table = Table(
        box=None,
        padding=(0, 1, 0, 0),
        title=f"quality: {manifest.verdict}",
        title_justify="left",
    )
    for name in _COLUMNS:
        table.add_column(name, no_wrap=True, justify="right" if name else "left")
    for leg in manifest.legs:
        table.add_row(leg.role, leg.verdict, *_figures(leg))
    return table


def _figures(leg: LegFigures) -> tuple[str, ...]:
    return (
        "-" if leg.mos is None else f"{leg.mos:.2f}",
        f"{leg.loss_percent:.2f} %",
        f"{leg.longest_gap_ms} ms",
        f"{leg.jitter_ms:.1f} ms",
        f"{leg.drift_ppm:.0f} ppm",
        f"{leg.silence:.0%}".replace("%", " %"),
        f"{leg.clipping:.2%}".replace("%", " %"),
    )
