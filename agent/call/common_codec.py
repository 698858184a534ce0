"""Two joined legs kept in codecs that can be relayed: `codecs.settle`, carried out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agent.call.codecs import Move, Side, settle
from agent.call.leg import Leg
from agent.call.state import PairState
from agent.model.media import Codec


@dataclass(slots=True)
class _Pair:
    sides: dict[Side, Leg]
    tried: set[Side] = field(default_factory=set)

    def has(self, leg: Leg) -> bool:
        return leg in self.sides.values()


class CommonCodec:
    """Watches the pair of legs that talk with each other.

    `reoffer(leg, codecs)` is to offer a leg these codecs; `apart` hears that nothing
    can be done any more.
    """

    def __init__(
        self,
        reoffer: Callable[[Leg, tuple[Codec, ...]], None],
        apart: Callable[[], None],
    ) -> None:
        self._reoffer = reoffer
        self._apart = apart
        self._pair: _Pair | None = None

    @property
    def state(self) -> PairState | None:
        """All of it, for `restore` in another process."""
        pair = self._pair
        if pair is None:
            return None
        return PairState(
            first=pair.sides[Side.FIRST].name,
            target=pair.sides[Side.TARGET].name,
            tried=tuple(side.name for side in pair.tried),
        )

    def restore(self, state: PairState, legs: Mapping[str, Leg]) -> None:
        """Go on where another one stood."""
        self._pair = _Pair(
            {Side.FIRST: legs[state.first], Side.TARGET: legs[state.target]},
            {Side[name] for name in state.tried},
        )

    def joined(self, one: Leg, other: Leg) -> None:
        """Two legs talk with each other from now on; `other` was rung for `one`."""
        self._pair = _Pair({Side.FIRST: one, Side.TARGET: other})
        self.check(one)

    def check(self, leg: Leg) -> None:
        """An exchange of a leg is over, whatever came of it."""
        pair = self._pair
        if pair is None or not pair.has(leg):
            return
        first, target = pair.sides[Side.FIRST], pair.sides[Side.TARGET]
        if first.audio is None or target.audio is None or first.gone or target.gone:
            return
        if first.is_asked or target.is_asked:
            return  # what comes of it is to be waited for
        verdict = settle(first.audio, target.audio, frozenset(pair.tried))
        if verdict is None:
            pair.tried.clear()
        elif isinstance(verdict, Move):
            pair.tried.add(verdict.side)
            self._reoffer(pair.sides[verdict.side], verdict.codecs)
        else:
            self._pair = None
            self._apart()
