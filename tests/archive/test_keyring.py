import asyncio
import os
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from agent.archive import keyring as module
from agent.archive.key_files import KeyringBusyError, KeyringError, Kind
from agent.archive.keyring import Keyring, copy_keyring, read_index_keys
from agent.common.ids import new_id
from agent.formats.age import Identity, KeyKind, decrypt, encrypt, generate_identity
from agent.formats.day_keys import verify_day_keys
from agent.formats.signed import verify_document
from agent.formats.sshsig import Namespace

TODAY = date(2026, 11, 29)
AT = "2026-11-29T12:00:00Z"


@pytest.fixture(scope="module")
def gate() -> Identity:
    return generate_identity(KeyKind.CLASSIC, os.urandom)


@pytest.fixture
async def keyring(tmp_path: Path, gate: Identity) -> AsyncIterator[Keyring]:
    keyring = await Keyring.create(tmp_path / "ring", [gate], kind=KeyKind.CLASSIC)
    yield keyring
    keyring.close()


async def reopened(keyring: Keyring, gate: Identity, tmp_path: Path) -> Keyring:
    keyring.close()
    return await Keyring.open(tmp_path / "ring", [gate], kind=KeyKind.CLASSIC)


async def test_keys_are_made_ahead_once(
    keyring: Keyring, gate: Identity, tmp_path: Path
) -> None:
    until = TODAY + timedelta(3)
    made = await keyring.generate_until(until, today=TODAY)
    assert made == [TODAY + timedelta(n) for n in range(4)]
    assert await keyring.generate_until(until, today=TODAY) == []
    first = keyring.day_identity(TODAY, 1)
    again = await reopened(keyring, gate, tmp_path)
    assert again.days() == made
    assert again.generations(TODAY) == [1]
    assert again.day_identity(TODAY, 1).encode() == first.encode()
    again.close()


async def test_a_destroyed_day_stays_destroyed(
    keyring: Keyring, gate: Identity, tmp_path: Path
) -> None:
    await keyring.generate_until(TODAY, today=TODAY)
    recipient = keyring.day_identity(TODAY, 1).recipient()
    sealed = encrypt(b"inner", [recipient], os.urandom)
    assert decrypt(sealed, keyring.day_identities(TODAY)) == b"inner"
    done = await keyring.destroy_day(TODAY, 1, at=AT)
    assert (done.kind, done.name, done.at) == (Kind.DAY, "2026-11-29.1", AT)
    assert await keyring.destroy_day(TODAY, 1, at="later") == done
    for ring in (keyring, await reopened(keyring, gate, tmp_path)):
        assert ring.days() == []
        assert ring.day_identities(TODAY) == []
        with pytest.raises(KeyringError, match="not held"):
            ring.day_identity(TODAY, 1)
        assert await ring.generate_until(TODAY, today=TODAY) == []
        assert await ring.destroyed() == [done]
        ring.close()


async def test_a_new_generation_is_what_is_encrypted_to(
    keyring: Keyring, gate: Identity, tmp_path: Path
) -> None:
    await keyring.generate_until(TODAY, today=TODAY)
    assert await keyring.new_generation(TODAY) == 2
    assert keyring.day_identities(TODAY) == [
        keyring.day_identity(TODAY, 2),
        keyring.day_identity(TODAY, 1),
    ]
    await keyring.destroy_day(TODAY, 1, at=AT)
    assert keyring.generations(TODAY) == [2]
    await keyring.destroy_day(TODAY, 2, at=AT)
    again = await reopened(keyring, gate, tmp_path)
    assert await again.new_generation(TODAY) == 3
    again.close()


async def test_a_day_does_not_have_keys_without_end(
    keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_GENERATIONS", 1)
    assert await keyring.new_generation(TODAY) == 1
    with pytest.raises(KeyringError, match="too many"):
        await keyring.new_generation(TODAY)


async def test_a_hold_key_is_made_once_and_destroyed_for_good(
    keyring: Keyring, gate: Identity, tmp_path: Path
) -> None:
    held = new_id()
    assert not await keyring.has_hold_key(held)
    key = await keyring.hold_key(held)
    assert await keyring.hold_key(held) is key
    again = await reopened(keyring, gate, tmp_path)
    found = await again.hold_identity(held)
    assert found is not None
    assert found.encode() == key.encode()
    assert await again.holds() == [held]
    done = await again.destroy_hold(held, at=AT)
    assert await again.destroyed() == [done]
    assert not await again.has_hold_key(held)
    with pytest.raises(KeyringError, match="made before"):
        await again.hold_key(held)
    with pytest.raises(KeyringError, match="recording's id"):
        await again.hold_key("../days/2026-11-29.1")
    again.close()


async def test_a_cancelled_change_is_carried_out_and_known(keyring: Keyring) -> None:
    making = asyncio.get_running_loop().create_task(keyring.new_generation(TODAY))
    while not keyring._changing.locked():
        await asyncio.sleep(0)
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert keyring.generations(TODAY) == [1]
    assert await keyring.new_generation(TODAY) == 2


async def test_changes_at_once_take_turns(keyring: Keyring) -> None:
    made = await asyncio.gather(*(keyring.new_generation(TODAY) for _ in range(5)))
    assert sorted(made) == [1, 2, 3, 4, 5]


async def test_a_file_that_is_no_days_key_is_named(
    keyring: Keyring, gate: Identity, tmp_path: Path
) -> None:
    days = tmp_path / "ring" / "days"
    (days / "tomorrow.age").write_bytes(b"")
    keyring.close()
    with pytest.raises(KeyringError, match="days/tomorrow is no day's key"):
        await Keyring.open(tmp_path / "ring", [gate])
    (days / "tomorrow.age").unlink()
    opened = await Keyring.open(tmp_path / "ring", [gate])  # the lock was let go
    with pytest.raises(KeyringBusyError):
        await Keyring.open(tmp_path / "ring", [gate])
    opened.close()


async def test_the_gate_signs_with_the_key_the_roster_names(
    keyring: Keyring, gate: Identity, tmp_path: Path
) -> None:
    public = keyring.signing_key.public
    again = await reopened(keyring, gate, tmp_path)
    signed = again.sign(b"{}\n", Namespace.DAY_KEYS)
    assert verify_document(signed, Namespace.DAY_KEYS, [public]).signers == (public,)
    again.close()


async def test_index_keys_come_from_the_root_that_stays(
    keyring: Keyring, gate: Identity, tmp_path: Path
) -> None:
    months = ["2026-11", "2026-12"]
    held = read_index_keys(tmp_path / "ring", [gate], months)
    again = await reopened(keyring, gate, tmp_path)
    assert held.months == {month: again.index_key(month) for month in held.months}
    assert len(set(held.months.values())) == 2
    again.close()


async def test_a_published_list_is_believed_and_the_next_is_newer(
    keyring: Keyring, gate: Identity, tmp_path: Path
) -> None:
    await keyring.generate_until(TODAY + timedelta(2), today=TODAY - timedelta(40))
    await keyring.new_generation(TODAY)
    assert await keyring.serial() == 0
    made = await keyring.publish(TODAY, AT)
    signed = keyring.sign(made.to_bytes(), Namespace.DAY_KEYS)
    read = verify_day_keys(signed, [keyring.signing_key.public])
    assert (read.serial, read.issued) == (1, AT)
    assert [key.day for key in read.keys] == [
        (TODAY + timedelta(n)).isoformat() for n in range(-35, 3)
    ]
    current = read.current(TODAY)
    assert current is not None
    assert current.generation == 2
    assert current.recipient == str(keyring.day_identity(TODAY, 2).recipient())
    again = await reopened(keyring, gate, tmp_path)
    assert (await again.publish(TODAY, AT)).serial == 2
    assert copy_keyring(tmp_path / "ring", tmp_path / "copy") > 40
    again.close()
    (tmp_path / "ring" / "serial").write_bytes(b"two")
    with pytest.raises(KeyringError, match="serial cannot be read"):
        await again.serial()
    assert (tmp_path / "copy" / "serial").read_bytes() == b"2"


async def test_a_backup_is_a_keyring(
    keyring: Keyring, gate: Identity, tmp_path: Path
) -> None:
    await keyring.generate_until(TODAY, today=TODAY)
    assert copy_keyring(tmp_path / "ring", tmp_path / "copy") == 3
    copy = await Keyring.open(tmp_path / "copy", [gate])
    ours, theirs = keyring.day_identity(TODAY, 1), copy.day_identity(TODAY, 1)
    assert ours.encode() == theirs.encode()
    copy.close()


async def test_it_signs_by_the_newest_key_that_the_roster_names(
    keyring: Keyring, gate: Identity, tmp_path: Path
) -> None:
    first = keyring.signing_key
    second = await keyring.new_signing_key()
    third = await keyring.new_signing_key()
    again = await reopened(keyring, gate, tmp_path)
    try:
        assert again.signing_key.public == first.public
        keys = [key.public for key in again.signing_keys]
        assert keys == [third.public, second.public, first.public]
        for named, expected in (
            ([first.public], first.public),
            ([first.public, second.public], second.public),
            ([first.public, third.public, second.public], third.public),
        ):
            found = again.sign_by(named)
            assert found is not None
            assert found.public == again.signing_key.public == expected
        assert again.sign_by([]) is None
    finally:
        again.close()


async def test_after_a_new_identity_the_old_one_may_go(
    keyring: Keyring, gate: Identity, tmp_path: Path
) -> None:
    await keyring.generate_until(TODAY, today=TODAY)
    await keyring.hold_key(new_id())
    key = keyring.signing_key.public
    keyring.close()
    new = generate_identity(KeyKind.CLASSIC, os.urandom)
    with pytest.raises(KeyringError):
        await Keyring.open(tmp_path / "ring", [new], kind=KeyKind.CLASSIC)
    both = await Keyring.open(tmp_path / "ring", [new, gate], kind=KeyKind.CLASSIC)
    assert await both.reseal() == 4
    both.close()
    alone = await Keyring.open(tmp_path / "ring", [new], kind=KeyKind.CLASSIC)
    assert alone.signing_key.public == key
    assert alone.days() == [TODAY]
    alone.close()
    with pytest.raises(KeyringError):
        await Keyring.open(tmp_path / "ring", [gate], kind=KeyKind.CLASSIC)


async def test_what_is_forgotten_is_never_made_again(
    keyring: Keyring, gate: Identity, tmp_path: Path
) -> None:
    held, never = new_id(), new_id()
    await keyring.generate_until(TODAY, today=TODAY)
    await keyring.new_generation(TODAY)
    await keyring.hold_key(held)
    names = [f"{TODAY}.1", f"{TODAY}.3", f"{TODAY + timedelta(1)}.1"]
    for _ in range(2):
        await keyring.forget(names, [held, never], at=AT)
    assert keyring.day_names() == [f"{TODAY}.2"]
    assert await keyring.new_generation(TODAY) == 4
    assert await keyring.generate_until(TODAY + timedelta(1), today=TODAY) == []
    for recording_id in (held, never):
        assert not await keyring.has_hold_key(recording_id)
        with pytest.raises(KeyringError, match="made before"):
            await keyring.hold_key(recording_id)
    again = await reopened(keyring, gate, tmp_path)
    assert again.day_names() == [f"{TODAY}.2", f"{TODAY}.4"]
    again.close()
