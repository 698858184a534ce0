"""SRTP written from RFC 3711 and RFC 7714 alone: the judge of what the agent sends.

Nothing of it is libsrtp's: AES, HMAC and GCM are those of `cryptography`.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha1

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from agent.model.media import SrtpSuite

Keystream = Callable[[bytes], bytes]


class BadTagError(Exception):
    """The packet is not authentic."""


@dataclass(frozen=True)
class _Shape:
    key: int
    salt: int
    tag: int
    gcm: bool = False


SHAPES = {
    SrtpSuite.AES_CM_128_HMAC_SHA1_80: _Shape(16, 14, 10),
    SrtpSuite.AES_CM_128_HMAC_SHA1_32: _Shape(16, 14, 4),
    SrtpSuite.AEAD_AES_128_GCM: _Shape(16, 12, 16, gcm=True),
    SrtpSuite.AEAD_AES_256_GCM: _Shape(32, 12, 16, gcm=True),
}


def derive(master: bytes, salt: bytes, label: int, size: int) -> bytes:
    """RFC 3711 section 4.3.1, with a key derivation rate of 0."""
    x = int.from_bytes(salt.ljust(14, b"\0"), "big") ^ label << 48
    encryptor = Cipher(AES(master), CTR((x << 16).to_bytes(16, "big"))).encryptor()
    return encryptor.update(bytes(size))


class Direction:
    """One direction under one master key. Indices are the caller's business."""

    def __init__(self, suite: SrtpSuite, key_and_salt: bytes) -> None:
        shape = self._shape = SHAPES[suite]
        master, salt = key_and_salt[: shape.key], key_and_salt[shape.key :]
        assert len(salt) == shape.salt
        self._keys = [
            (
                derive(master, salt, base, shape.key),
                derive(master, salt, base + 1, 20),
                derive(master, salt, base + 2, shape.salt),
            )
            for base in (0, 3)
        ]

    # -- RTP: section 3.1 -------------------------------------------------------

    def protect(self, packet: bytes, rollovers: int = 0) -> bytes:
        header, payload = packet[: _header(packet)], packet[_header(packet) :]
        key, auth, _ = self._keys[0]
        if self._shape.gcm:
            return header + AESGCM(key).encrypt(
                self._gcm_iv(packet, rollovers), payload, header
            )
        sealed = header + self._counter_mode(packet, rollovers, payload)
        tag = hmac.digest(auth, sealed + rollovers.to_bytes(4, "big"), sha1)
        return sealed + tag[: self._shape.tag]

    def unprotect(self, packet: bytes, rollovers: int = 0) -> bytes:
        start = _header(packet)
        header = packet[:start]
        key, auth, _ = self._keys[0]
        if self._shape.gcm:
            iv = self._gcm_iv(packet, rollovers)
            try:
                return header + AESGCM(key).decrypt(iv, packet[start:], header)
            except Exception as error:
                raise BadTagError from error
        sealed, tag = packet[: -self._shape.tag], packet[-self._shape.tag :]
        expected = hmac.digest(auth, sealed + rollovers.to_bytes(4, "big"), sha1)
        if expected[: self._shape.tag] != tag:
            raise BadTagError
        return header + self._counter_mode(packet, rollovers, sealed[start:])

    def _counter_mode(self, packet: bytes, rollovers: int, data: bytes) -> bytes:
        key, _, salt = self._keys[0]
        index = rollovers << 16 | int.from_bytes(packet[2:4], "big")
        return _counter_mode(key, salt, packet[8:12], index, data)

    def _gcm_iv(self, packet: bytes, rollovers: int) -> bytes:
        # RFC 7714 section 8.1
        whole = b"\0\0" + packet[8:12] + rollovers.to_bytes(4, "big") + packet[2:4]
        return _xor(whole, self._keys[0][2])

    # -- RTCP: section 3.4 ------------------------------------------------------

    def protect_rtcp(self, packet: bytes, index: int = 1) -> bytes:
        key, auth, salt = self._keys[1]
        word = (1 << 31 | index).to_bytes(4, "big")
        if self._shape.gcm:
            iv = _xor(b"\0\0" + packet[4:8] + b"\0\0" + index.to_bytes(4, "big"), salt)
            data = AESGCM(key).encrypt(iv, packet[8:], packet[:8] + word)
            return packet[:8] + data + word
        sealed = packet[:8] + _counter_mode(key, salt, packet[4:8], index, packet[8:])
        return sealed + word + hmac.digest(auth, sealed + word, sha1)[:10]

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        key, auth, salt = self._keys[1]
        tail = 0 if self._shape.gcm else 10
        body, word = packet[: len(packet) - tail - 4], packet[len(packet) - tail - 4 :]
        word, tag = word[:4], word[4:]
        assert word[0] & 0x80, "SRTCP is always encrypted here"
        index = int.from_bytes(word, "big") & 0x7FFFFFFF
        if self._shape.gcm:
            iv = _xor(b"\0\0" + packet[4:8] + b"\0\0" + index.to_bytes(4, "big"), salt)
            try:
                data = AESGCM(key).decrypt(iv, body[8:], body[:8] + word)
            except Exception as error:
                raise BadTagError from error
            return body[:8] + data
        if hmac.digest(auth, body + word, sha1)[:10] != tag:
            raise BadTagError
        return body[:8] + _counter_mode(key, salt, body[4:8], index, body[8:])


def _header(packet: bytes) -> int:
    size = 12 + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        size += 4 + 4 * int.from_bytes(packet[size + 2 : size + 4], "big")
    return size


def _counter_mode(
    key: bytes, salt: bytes, ssrc: bytes, index: int, data: bytes
) -> bytes:
    # RFC 3711 section 4.1.1
    iv = (
        int.from_bytes(salt, "big") << 16
        ^ int.from_bytes(ssrc, "big") << 64
        ^ index << 16
    )
    return Cipher(AES(key), CTR(iv.to_bytes(16, "big"))).encryptor().update(data)


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
