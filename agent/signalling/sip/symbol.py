"""States, inputs and actions of the tables."""

from enum import Enum


class Symbol(Enum):
    """An enumeration whose members are found in tables without being asked for a name.

    Enum hashes its members by name, in Python; a call looks up some 150.
    """

    __hash__ = object.__hash__
