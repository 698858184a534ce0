"""Why a recording may be opened: a fixed list, and which roles may use which.

Every access states one (DESIGN section 5); none stands for "because I can".
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from agent.formats.roster import Role


class Purpose(StrEnum):
    """What an access is for, as the audit log says it."""

    QUALITY = "quality"
    DEVELOPMENT = "development"
    TRAINING = "training"
    COMPLAINT = "complaint"
    SUBJECT_REQUEST = "subject-request"
    "A person asks for what is kept of them (GDPR Articles 15 to 18)."
    DISCLOSURE = "disclosure"
    "To somebody outside who has a right to it."
    LEGAL_CLAIM = "legal-claim"
    TECHNICAL_FAULT = "technical-fault"
    DRILL = "drill"
    "Whether a key still opens what it should."
    REWRAP = "rewrap"
    "The same recording for other keys; two persons have approved it."


PURPOSES: Final[Mapping[Role, frozenset[Purpose]]] = MappingProxyType(
    {
        Role.QUALITY: frozenset(
            {
                Purpose.QUALITY,
                Purpose.DEVELOPMENT,
                Purpose.TRAINING,
                Purpose.COMPLAINT,
                Purpose.DRILL,
                Purpose.REWRAP,
            }
        ),
        # Of their own calls, and for their own work.
        Role.OFFICER: frozenset({Purpose.QUALITY, Purpose.TRAINING, Purpose.COMPLAINT}),
        Role.ADMIN: frozenset({Purpose.TECHNICAL_FAULT, Purpose.DRILL, Purpose.REWRAP}),
        Role.CASE_HANDLER: frozenset(
            {
                Purpose.COMPLAINT,
                Purpose.SUBJECT_REQUEST,
                Purpose.DISCLOSURE,
                Purpose.LEGAL_CLAIM,
            }
        ),
        Role.DPO: frozenset({Purpose.SUBJECT_REQUEST, Purpose.COMPLAINT}),
    }
)
"Least is most: a role has the purposes of its task, no others."

CASE_BOUND: Final = frozenset(
    {Purpose.SUBJECT_REQUEST, Purpose.DISCLOSURE, Purpose.LEGAL_CLAIM}
)
"Accesses that belong to a case: they name its number."
