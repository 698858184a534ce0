"""Random identifiers: they say nothing about time, host or person."""

import uuid


def new_id() -> str:
    """A random UUIDv4 in its usual text form.

    Not a time-ordered UUID: a time in an id would join audit rows to the PBX's
    own records.
    """
    return str(uuid.uuid4())
