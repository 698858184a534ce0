"""Made-up journals: their keys, their blocks, and strategies for any."""

from hypothesis import strategies as st

from agent.formats.journal import (
    FRAME_SIZE,
    MAX_LEG,
    BlockSealer,
    JournalHeader,
    NoteRecord,
    PacketRecord,
    Record,
    key_id,
    pack_note,
    pack_packet,
)

KEY = b"k" * 32

HEADER = JournalHeader(
    recording_id="123e4567-e89b-42d3-a456-426614174000",
    epoch=3,
    key_id=key_id("age1example"),
    salt=bytes(range(32)),
    utc_ns=1_795_437_296_789_999_999,
    monotonic_ns=86_400_000_000_001,
)

BLOCK_OVERHEAD = FRAME_SIZE + 16

RECORDS = st.lists(
    st.one_of(
        st.builds(
            PacketRecord,
            st.integers(0, MAX_LEG),
            st.integers(0, 2**64 - 1),
            st.binary(max_size=60),
        ),
        st.builds(NoteRecord, st.binary(max_size=60)),
    ),
    max_size=5,
)

BLOCKS = st.lists(RECORDS, max_size=4)


def packed(records: list[Record]) -> bytes:
    return b"".join(
        pack_note(record.note)
        if isinstance(record, NoteRecord)
        else pack_packet(*record)
        for record in records
    )


def journal(blocks: list[list[Record]], *, end: bool = True) -> bytes:
    sealer = BlockSealer(HEADER, KEY)
    sealed = [sealer.seal(packed(records)) for records in blocks]
    assert sealer.blocks == len(blocks)
    return b"".join([HEADER.to_bytes(), *sealed, sealer.end() if end else b""])


ONE = [PacketRecord(0, 1, b"one"), NoteRecord(b"{}")]

TWO = [PacketRecord(1, 2, b"two")]

WHOLE = journal([ONE, TWO])

SIZE_ONE = BLOCK_OVERHEAD + len(packed(ONE))
