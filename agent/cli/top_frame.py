"""One frame of `recording-agent top`: what the daemon said, as lines of a screen."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NamedTuple

from rich.text import Text

from agent.call.joint import CallStatus
from agent.call.leg_status import LegStatus
from agent.cli.asking import SHOWN_ID, named
from agent.model.call import Outcome
from agent.model.recording import RecordState
from agent.service.host_status import HostStatus, PeerStatus

MAX_ALARMS: Final = 4
"Lines of them; how many more there are is said."
LOSS_BAD: Final = 0.03
"From here on G.711 is hard to follow (ITU-T G.113 appendix I)."
JITTER_BAD_MS: Final = 40.0
"More than most phones' buffers take up."
DAY_KEYS_LOW: Final = 7
"Days; the daemon logs `day_keys_running_out` from there on."
_GOOD: Final = "green"
_BAD: Final = "bold red"
_DIM: Final = "dim"
_HEADING: Final = "reverse"
_COUNTED: Final = (
    Outcome.RECORDED,
    Outcome.PARTIAL,
    Outcome.UNRECORDED,
    Outcome.BLOCKED,
    Outcome.ABANDONED,
    Outcome.UNANSWERED,
    Outcome.REJECTED,
    Outcome.FAILED,
    Outcome.EXEMPT,
)
_MISSED: Final = frozenset({Outcome.PARTIAL, Outcome.UNRECORDED, Outcome.BLOCKED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What there is to be shown."""

    name: str
    "Of the host."
    utc_ns: int
    calls: Sequence[CallStatus] = ()
    host: HostStatus | None = None
    outcomes: Mapping[Outcome, int] = field(default_factory=dict)
    "Of calls that began within the last hour and are over."
    away: str = ""
    "Why the daemon could not be asked; empty if it answered."


class Frame(NamedTuple):
    """What is on the screen."""

    lines: list[Text]
    page: int
    "Of the calls, from 0: the one that was asked for, or the last."


def frame(scene: Scene, *, width: int, height: int, page: int = 0) -> Frame:
    """Exactly `height` lines, none wider than `width`; `page` of the calls."""
    head = [_title(scene, width), *_alarms(scene), *_host(scene), _outcomes(scene)]
    head = head[: max(1, height - 3)]
    room = max(1, height - len(head) - 2)
    pages = paginate(scene.calls, room)
    page = min(page, len(pages) - 1)
    shown = pages[page]
    lines = [*head, _call_heading(width)]
    for call in shown:
        lines += _call(call)
    del lines[height - 1 :]
    lines += [Text()] * (height - 1 - len(lines))
    lines.append(_foot(scene, page, len(pages)))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Frame(lines, page)


def paginate(calls: Sequence[CallStatus], room: int) -> list[list[CallStatus]]:
    """Calls by pages of `room` lines; at least one page, and one call on each."""
    pages: list[list[CallStatus]] = [[]]
    left = room
    for call in calls:
        lines = max(1, len(call.legs))
        if pages[-1] and lines > left:
            pages.append([])
            left = room
        pages[-1].append(call)
        left -= lines
    return pages


def _title(scene: Scene, width: int) -> Text:
    moment = datetime.fromtimestamp(scene.utc_ns / 1e9, tz=UTC)
    clock = moment.strftime("%Y-%m-%d %H:%M:%S UTC")
    recorded = sum(call.recording is RecordState.ON for call in scene.calls)
    count = len(scene.calls)
    calls = f"{count} call{'' if count == 1 else 's'}, {recorded} recorded"
    left = f"recording-agent {scene.name}   {calls}"
    return Text(left.ljust(width - len(clock) - 1) + " " + clock, style=_HEADING)


def _alarms(scene: Scene) -> Iterator[Text]:
    if scene.away:
        yield Text(f"the daemon does not answer: {scene.away}", style=_BAD)
    if scene.host is None:
        return
    if scene.host.draining:
        yield Text("draining: no new calls are taken", style=_BAD)
    alarms = scene.host.alarms
    # The newest are what somebody looks for.
    shown = alarms[-MAX_ALARMS:]
    if (more := len(alarms) - len(shown)) > 0:
        shown, more = shown[1:], more + 1
    for alarm in shown:
        since = _ago((scene.utc_ns - alarm.since_utc_ns) / 1e9)
        times = f", {alarm.count} times" if alarm.count > 1 else ""
        yield Text(f"ALARM {named(alarm)}  since {since}{times}", style=_BAD)
    if more > 0:
        yield Text(f"ALARM and {more} more: see `recording-agent doctor`", style=_BAD)


def _host(scene: Scene) -> Iterator[Text]:
    host = scene.host
    if host is None:
        return
    line = Text("spool ")
    line.append(f"{host.spool_used * 100:.0f} %", _BAD if host.spool_alarm else _GOOD)
    line.append(
        f" of {host.spool_high_water * 100:.0f} %,"
        f" {host.spool_free_mb / 1024:.1f} GiB free   to finish "
    )
    line.append(str(host.to_finish), _BAD if host.finishing_alarm else "")
    line.append(_for(host.to_finish_for) + "   to store ")
    line.append(str(host.to_store), _BAD if host.storage_away else "")
    line.append(_for(host.to_store_for))
    yield line
    if host.storage_away:
        away = [s.name for s in host.storages if s.away] or ["storage"]
        yield Text(f"storage fails: {', '.join(away)}", style=_BAD)
    peers = Text("peers")
    for peer in host.peers:
        peers.append(f"  {peer.name} ")
        peers.append(*_peer(peer))
    yield peers
    yield _own(host)


def _own(host: HostStatus) -> Text:
    """Workers, broker, day keys."""
    line = Text()
    if host.workers:
        alive = sum(worker.alive for worker in host.workers)
        line.append("workers ")
        whole = alive == len(host.workers)
        line.append(f"{alive}/{len(host.workers)}", _GOOD if whole else _BAD)
        restarts = sum(worker.restarts for worker in host.workers)
        many = "" if restarts == 1 else "s"
        line.append(f" ({restarts} restart{many})" if restarts else "")
    if host.broker_away is not None:
        line.append("   MQTT broker ")
        line.append(*(("away", _BAD) if host.broker_away else ("up", _GOOD)))
    if host.day_keys_for is not None:
        line.append("   day keys for ")
        soon = host.day_keys_for < DAY_KEYS_LOW
        line.append(f"{host.day_keys_for} days", _BAD if soon else "")
    return line


def _peer(peer: PeerStatus) -> tuple[str, str]:
    """A word on it, and its style."""
    if peer.registered is False:
        return "unregistered", _BAD
    if peer.up is None:
        return ("registered", _GOOD) if peer.registered else ("-", _DIM)
    return ("up", _GOOD) if peer.up else ("down", _BAD)


def _outcomes(scene: Scene) -> Text:
    line = Text("last hour:")
    for outcome in _COUNTED:
        if number := scene.outcomes.get(outcome, 0):
            line.append(f"  {outcome} ")
            line.append(str(number), _BAD if outcome in _MISSED else "")
    if not any(scene.outcomes.values()):
        line.append("  no call has ended", _DIM)
    return line


_COLUMNS: Final = (
    ("call", 8),
    ("route", 17),
    ("state", 10),
    ("rec.", 6),
    ("time", 7),
    ("leg", 3),
    ("codec", 6),
    ("loss", 6),
    ("jitter", 6),
)
_LEFT: Final = 5
"Columns of a call; the others are of its legs."


def _call_heading(width: int) -> Text:
    words = " ".join(name.ljust(size) for name, size in _COLUMNS)
    return Text(words.ljust(width), style=_HEADING)


def _call(call: CallStatus) -> Iterator[Text]:
    cells = (
        call.call_id[:SHOWN_ID],
        call.route,
        call.state,
        _recording(call),
        _clock(call.recorded_for),
    )
    for index, leg in enumerate(call.legs or (None,)):
        line = Text(no_wrap=True)
        for (_, size), cell in zip(_COLUMNS[:_LEFT], cells, strict=True):
            text = cell if index == 0 else ""
            line.append(text[:size].ljust(size + 1))
        if index == 0:
            start = sum(size + 1 for _, size in _COLUMNS[:3])
            style = _GOOD if call.recording is RecordState.ON else "yellow"
            line.stylize(style, start, start + _COLUMNS[3][1])
        if leg is not None:
            _append_leg(line, leg)
        yield line


def _append_leg(line: Text, leg: LegStatus) -> None:
    sizes = dict(_COLUMNS)
    codec = leg.codec.upper() + ("*" if leg.encrypted else "")
    line.append(leg.name.ljust(sizes["leg"] + 1))
    line.append((codec or "-").ljust(sizes["codec"] + 1))
    loss, jitter = leg.loss, leg.jitter_ms
    line.append(
        ("-" if loss is None else f"{loss * 100:.1f} %").rjust(sizes["loss"]) + " ",
        _BAD if loss is not None and loss >= LOSS_BAD else "",
    )
    line.append(
        ("-" if jitter is None else f"{jitter:.0f} ms").rjust(sizes["jitter"]),
        _BAD if jitter is not None and jitter >= JITTER_BAD_MS else "",
    )
    if leg.held:
        line.append(" h", "yellow")


def _recording(call: CallStatus) -> str:
    if call.exempt:
        return "exempt"
    return "paused" if call.paused_for is not None else call.recording


def _foot(scene: Scene, page: int, pages: int) -> Text:
    words = "q quits"
    if pages > 1:
        words += f"   n, p: next, previous calls   page {page + 1} of {pages}"
    if any(leg.encrypted for call in scene.calls for leg in call.legs):
        words += "   * encrypted"
    if any(leg.held for call in scene.calls for leg in call.legs):
        words += "   h holds"
    return Text(words, style=_DIM)


def _for(seconds: float | None) -> str:
    return "" if seconds is None else f" ({_ago(seconds)})"


def _ago(seconds: float) -> str:
    """At most four characters, for a glance."""
    if seconds < 100:
        return f"{max(0.0, seconds):.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} m"
    return f"{seconds / 3600:.0f} h"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
