"""What the demo's tasks made is there: pictures, sounds and films, from a real server on loopback."""

from __future__ import annotations

import io
import re
import struct
import urllib.error
import urllib.request
import wave
import zlib
from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings as SettingsWrapper

from routescope.demo.film import FRAMES, HEIGHT, RATE, WIDTH, film
from routescope.demo.media import SERVICES
from routescope.demo.provider import DevelopmentProvider


@pytest.fixture(scope="module")
def provider() -> Iterator[DevelopmentProvider]:
    server = DevelopmentProvider().start()
    yield server
    server.shutdown()
    server.server_close()


def got(url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
        return answer.status, dict(answer.headers), answer.read()


def test_every_link_of_the_history_leads_to_what_it_says(
    provider: DevelopmentProvider, settings: SettingsWrapper
) -> None:
    settings.DEMO_PROVIDER_URL = provider.url
    kinds = {"png": "image/png", "wav": "audio/wav", "mp4": "video/mp4"}
    links = {
        service.platform: [link.format(base=provider.url, id="task_0f3a") for link in service.result]
        for service in SERVICES
        if service.type != "batch"
    }
    assert all(links.values())
    for link in {link for found in links.values() for link in found}:
        status, headers, body = got(link)
        assert status == 200 and headers["Content-Type"] == kinds[link.rpartition(".")[2]]
        assert 1_000 < len(body) < 2_000_000


def test_a_player_may_ask_for_a_part(provider: DevelopmentProvider) -> None:
    url = f"{provider.url}/media/task_0f3a.mp4"
    _, _, whole = got(url)
    status, headers, part = got(url, Range="bytes=100-299")
    assert status == 206 and part == whole[100:300]
    assert headers["Content-Range"] == f"bytes 100-299/{len(whole)}"
    assert got(url, Range="bytes=500-")[2] == whole[500:]
    # Any other wish is answered with the whole.
    assert got(url, Range="bytes=-5")[0] == got(url, Range="lines=1-2")[0] == 200
    with pytest.raises(urllib.error.HTTPError, match="416"):
        got(url, Range=f"bytes={len(whole)}-")


def test_pictures_and_sounds_are_whole_files(provider: DevelopmentProvider) -> None:
    picture = got(f"{provider.url}/media/7.png")[2]
    width, height = struct.unpack(">II", picture[16:24])
    [packed] = re.findall(rb"IDAT(.*)....\x00\x00\x00\x00IEND", picture, re.DOTALL)
    assert len(zlib.decompress(packed)) == height * (1 + 3 * width)
    with wave.open(io.BytesIO(got(f"{provider.url}/media/7.wav")[2])) as sound:
        assert sound.getnframes() / sound.getframerate() == 3


def test_a_film_has_an_index_that_fits_its_samples() -> None:
    made = film(3)
    assert made != film(4)
    boxes = {}
    at = 0
    while at < len(made):
        size, kind = struct.unpack(">I4s", made[at : at + 8])
        boxes[kind] = (at, size)
        at += size
    assert list(boxes) == [b"ftyp", b"moov", b"mdat"] and at == len(made)
    index = made[boxes[b"moov"][0] : sum(boxes[b"moov"])]
    sizes = index.index(b"stsz")
    _, _, count = struct.unpack(">III", index[sizes + 4 : sizes + 16])
    lengths = struct.unpack(f">{count}I", index[sizes + 16 : sizes + 16 + 4 * count])
    [place] = struct.unpack(">I", index[index.index(b"stco") + 12 :][:4])
    assert count == FRAMES and place == boxes[b"mdat"][0] + 8
    assert sum(lengths) == boxes[b"mdat"][1] - 8
    for length in lengths:
        # One unit to a sample, which it fills, and in which nothing looks like the start of another.
        [said] = struct.unpack(">I", made[place : place + 4])
        assert said == length - 4
        assert not re.search(rb"\x00\x00[\x00-\x02]", made[place + 4 : place + length])
        place += length
    assert 1.5 < FRAMES / RATE < 4 and WIDTH * 9 == HEIGHT * 16
