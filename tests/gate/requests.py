"""Requests as two approvers of tests/gate/rig.py sign them."""

from datetime import timedelta
from typing import Any

from agent.access.requests import Request, RequestedAct
from agent.common.ids import new_id
from agent.common.moments import moment_text
from agent.formats.signed import sign_document
from agent.formats.sshsig import Namespace
from tests.formats.rosters import signing_key
from tests.gate.rig import Rig

OCTETS = {"content-type": "application/octet-stream"}


def request(rig: Rig, act: str = "erase", **more: Any) -> Request:
    made = {
        "id": new_id(),
        "act": RequestedAct(act),
        "reason": "mistake",
        "issued": moment_text(rig.clock.moment),
        "expires": moment_text(rig.clock.moment + timedelta(days=7)),
    }
    return Request(**{**made, **more})


def signed_request(made: Request, by: tuple[str, ...] = ("quinn", "adam")) -> bytes:
    keys = [signing_key(name) for name in by]
    return sign_document(made.to_bytes(), keys, Namespace.REQUEST)
