"""The root of the error tree: whose fault, what to do, whether to try again."""


class AgentError(Exception):
    """Something went wrong that the agent foresaw and can explain."""

    permanent = True
    "Whether trying the same again cannot help."
    hint = ""
    "What the operator should do, as an imperative sentence."

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} {self.hint}" if self.hint else message
