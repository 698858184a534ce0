"""A mark that a level rises above once and falls below once: sans-IO."""


class HighWater:
    """Whether a level is high: from `mark` on, and until it is below `clear` again.

    Between the two it stays what it was: a level that hovers there is one alarm.
    """

    def __init__(self, mark: float, clear: float) -> None:
        """Raises ValueError unless 0 <= `clear` <= `mark`."""
        if not 0 <= clear <= mark:
            raise ValueError(f"{clear} is no place to clear what {mark} has raised")
        self.mark = mark
        self.clear = clear
        self.high = False

    def see(self, level: float) -> bool:
        """Take note of a level; whether it was raised or cleared by that."""
        was, self.high = self.high, level >= (self.clear if self.high else self.mark)
        return self.high is not was
