"""A short film, made by hand: MP4 with H.264 in which a macroblock is new and uncompressed, or kept.

That is all a decoder needs (ITU-T H.264, 7.3 and 8.3.5: I_PCM and P_Skip), and all that an encoder of sixty
lines can do. A disc moves over a ground that stands still, so few macroblocks are new in each frame.
"""

from __future__ import annotations

import math
import re
import struct
from functools import lru_cache

WIDTH, HEIGHT = 512, 288
FRAMES, RATE = 24, 10
"""Of the film, and of them in a second."""
_ACROSS, _DOWN = WIDTH // 16, HEIGHT // 16
_RADIUS = 40
_I_PCM, _OF_P_SLICES = 25, 5
_LIKE_START_CODE = re.compile(rb"\x00\x00(?=[\x00-\x03])")


class _Bits:
    """Bits in the order of the standard: ``u`` of a fixed length, ``ue`` an Exp-Golomb code (9.1)."""

    def __init__(self) -> None:
        self._done = bytearray()
        self._value = self._length = 0

    def u(self, length: int, value: int) -> _Bits:
        self._value = self._value << length | value
        self._length += length
        while self._length >= 8:
            self._length -= 8
            self._done.append(self._value >> self._length & 0xFF)
        self._value &= (1 << self._length) - 1
        return self

    def ue(self, *values: int) -> _Bits:
        for value in values:
            length = (value + 1).bit_length()
            self.u(2 * length - 1, value + 1)
        return self

    def raw(self, data: bytes) -> None:
        """Add whole bytes, after zeros up to the next one."""
        if self._length:
            self.u(8 - self._length, 0)
        self._done += data

    def ended(self) -> bytes:
        self.u(1, 1)
        if self._length:
            self.u(8 - self._length, 0)
        return bytes(self._done)


def _unit(head: int, payload: bytes) -> bytes:
    """Return a NAL unit, in which nothing looks like the start of another (7.4.1)."""
    return bytes([head]) + _LIKE_START_CODE.sub(b"\x00\x00\x03", payload)


def _parameters() -> tuple[bytes, bytes]:
    """Return both parameter sets: baseline profile, frames in their order, no deblocking."""
    sequence = _Bits().u(8, 66).u(8, 0xC0).u(8, 30).ue(0, 0, 2, 1).u(1, 0)
    sequence.ue(_ACROSS - 1, _DOWN - 1).u(1, 1).u(1, 1).u(1, 0).u(1, 0)
    picture = _Bits().ue(0, 0).u(2, 0).ue(0, 0, 0).u(3, 0).ue(0, 0, 0).u(3, 0b100)
    return _unit(0x67, sequence.ended()), _unit(0x68, picture.ended())


def _frame(number: int, blocks: dict[int, bytes]) -> bytes:
    """Return the slice of a whole frame: these macroblocks are new, all others are the last frame's."""
    bits = _Bits().ue(0, 5 if number else 7, 0).u(4, number % 16)
    if number:
        bits.u(3, 0)
    else:
        bits.ue(0).u(2, 0)
    bits.ue(0, 1)
    kept = 0
    for place in range(_ACROSS * _DOWN):
        block = blocks.get(place)
        if block is None:
            kept += 1
            continue
        if number:
            bits.ue(kept, _I_PCM + _OF_P_SLICES)
            kept = 0
        else:
            bits.ue(_I_PCM)
        bits.raw(block)
    if number and kept:
        bits.ue(kept)
    return _unit(0x41 if number else 0x65, bits.ended())


def _block(place: int, tint: int, middle: tuple[float, float] | None) -> bytes:
    """Return a macroblock's samples: a slow gradient, and the disc where it lies over it."""
    left, top = place % _ACROSS * 16, place // _ACROSS * 16
    luma = bytearray()
    for y in range(top, top + 16):
        for x in range(left, left + 16):
            level = 70 + 40 * x // WIDTH + 30 * y // HEIGHT
            if middle:
                away = math.hypot(x - middle[0], y - middle[1])
                level = round(level + (205 - level) * min(1.0, max(0.0, _RADIUS - away)))
            luma.append(level)
    blue = 100 + tint * 37 % 50 + 20 * left // WIDTH
    red = 95 + tint * 53 % 50 + 20 * top // HEIGHT
    return bytes(luma) + bytes([blue]) * 64 + bytes([red]) * 64


@lru_cache(maxsize=16)
def film(number: int) -> bytes:
    """Return a film of some two seconds, another for each number."""
    samples: list[bytes] = []
    covered: set[int] = set(range(_ACROSS * _DOWN))
    for frame in range(FRAMES):
        at = frame / (FRAMES - 1)
        middle = (
            _RADIUS + (WIDTH - 2 * _RADIUS) * at,
            HEIGHT / 2 + (HEIGHT / 2 - _RADIUS - 4) * math.sin(math.tau * at + number),
        )
        under = {
            place
            for place in range(_ACROSS * _DOWN)
            if abs(place % _ACROSS * 16 + 7.5 - middle[0]) < _RADIUS + 9
            and abs(place // _ACROSS * 16 + 7.5 - middle[1]) < _RADIUS + 9
        }
        blocks = {
            place: _block(place, number, middle if place in under else None) for place in covered | under
        }
        covered = under
        samples.append(_frame(frame, blocks))
    return _mp4([struct.pack(">I", len(sample)) + sample for sample in samples])


# --- MP4 (ISO/IEC 14496-12, -15): one track, its index before its samples ----------------------------------


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def _full(kind: bytes, *parts: bytes, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", flags), *parts)


def _mp4(samples: list[bytes]) -> bytes:
    kind = _box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomiso2avc1mp41")
    # The samples' place depends on how long the index is, which does not depend on their place.
    index = _index(samples, 0)
    return kind + _index(samples, len(kind) + len(index) + 8) + _box(b"mdat", *samples)


def _index(samples: list[bytes], place: int) -> bytes:
    scale, length = RATE, len(samples)
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    sequence, picture = _parameters()
    configuration = _box(
        b"avcC",
        bytes([1, *sequence[1:4], 0xFF, 0xE1]),
        struct.pack(">H", len(sequence)) + sequence,
        bytes([1]) + struct.pack(">H", len(picture)) + picture,
    )
    entry = _box(
        b"avc1",
        struct.pack(">6xH16xHHIIIH32sHh", 1, WIDTH, HEIGHT, 0x480000, 0x480000, 0, 1, b"", 24, -1),
        configuration,
    )
    table = _box(
        b"stbl",
        _full(b"stsd", struct.pack(">I", 1), entry),
        _full(b"stts", struct.pack(">III", 1, length, 1)),
        _full(b"stss", struct.pack(">II", 1, 1)),
        _full(b"stsc", struct.pack(">IIII", 1, 1, length, 1)),
        _full(b"stsz", struct.pack(f">II{length}I", 0, length, *map(len, samples))),
        _full(b"stco", struct.pack(">II", 1, place)),
    )
    media = _box(
        b"mdia",
        _full(b"mdhd", struct.pack(">IIIIHH", 0, 0, scale, length, 0x55C4, 0)),
        _full(b"hdlr", struct.pack(">I4s12x", 0, b"vide"), b"film\x00"),
        _box(
            b"minf",
            _full(b"vmhd", bytes(8), flags=1),
            _box(b"dinf", _full(b"dref", struct.pack(">I", 1), _full(b"url ", flags=1))),
            table,
        ),
    )
    track = _box(
        b"trak",
        _full(
            b"tkhd",
            struct.pack(">IIIII8xHHHH", 0, 0, 1, 0, length, 0, 0, 0, 0),
            matrix,
            struct.pack(">II", WIDTH << 16, HEIGHT << 16),
            flags=3,
        ),
        media,
    )
    head = _full(
        b"mvhd", struct.pack(">IIIIIH10x", 0, 0, scale, length, 0x10000, 0x100), matrix, bytes(24),
        struct.pack(">I", 2),
    )  # fmt: skip
    return _box(b"moov", head, track)
