"""Why a leg is cleared, as its peer is told in the Reason header (RFC 3326): sans-IO.

Causes of ITU-T Q.850 table 1, below 200; from there on they are SIP statuses.
"""

from typing import Final

NORMAL_CLEARING: Final = 16
USER_BUSY: Final = 17
NO_ANSWER: Final = 19
NETWORK_OUT_OF_ORDER: Final = 38
TEMPORARY_FAILURE: Final = 41
INCOMPATIBLE_DESTINATION: Final = 88
RECOVERY_ON_TIMER: Final = 102
ANSWERED_ELSEWHERE: Final = 200
"A phone that reads it shows no missed call."
