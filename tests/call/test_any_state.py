from typing import get_args

import msgspec

from agent.call.any_state import AnyCallState


def test_every_kind_of_call_is_told_by_its_tag() -> None:
    kinds = get_args(AnyCallState)
    tags = {kind.__struct_config__.tag for kind in kinds}
    assert tags == {"call", "direct", "recording"}
    assert msgspec.msgpack.Decoder(AnyCallState) is not None
