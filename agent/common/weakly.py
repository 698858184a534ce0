"""Callbacks that do not keep alive what they call.

A part that holds a method of its whole makes a ring with it, and what is in a ring
waits for the collector of cycles: its work grows with everything a call has touched.
"""

import weakref
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def weakly(method: Callable[P, T]) -> Callable[P, T]:
    """The same as the bound `method`, but its object may go.

    For parts that nobody asks anything of once their whole is gone: they would get a
    ReferenceError.
    """
    bound: Any = method
    function, reference = bound.__func__, weakref.ref(bound.__self__)

    # In quotes, for what is not is looked up each time.
    def call(*args: "P.args", **kwargs: "P.kwargs") -> "T":
        whole = reference()
        if whole is None:
            raise ReferenceError(f"{function.__qualname__}: its object is gone")
        result: T = function(whole, *args, **kwargs)
        return result

    return call
