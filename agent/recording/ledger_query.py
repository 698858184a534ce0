"""Which calls of the ledger somebody wants to see, as SQL says it."""

from dataclasses import dataclass

from agent.model.call import Outcome

OPEN = "open"
"Stands for the outcome of a call that has none yet."


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """All calls, unless something is set."""

    outcome: Outcome | str = ""
    "What became of them; OPEN: they still run."
    call_id: str = ""
    "Beginning of their ids."
    since_utc_ns: int = 0
    "They did not begin before."
    ended_after_utc_ns: int = 0
    "They ended, and later than that."

    def where(self) -> tuple[str, tuple[str | int, ...]]:
        """A WHERE clause on the table `calls`, with its parameters."""
        clauses: list[str] = ["begun_utc_ns >= ?"]
        values: list[str | int] = [self.since_utc_ns]
        if self.outcome == OPEN:
            clauses.append("outcome IS NULL")
        elif self.outcome:
            clauses.append("outcome = ?")
            values.append(self.outcome)
        if self.call_id:
            # No LIKE: an id may hold what that takes for a pattern.
            clauses.append("substr(call_id, 1, ?) = ?")
            values += [len(self.call_id), self.call_id]
        if self.ended_after_utc_ns:
            clauses.append("ended_utc_ns > ?")
            values.append(self.ended_after_utc_ns)
        return " AND ".join(clauses), tuple(values)


ALL = Wanted()
