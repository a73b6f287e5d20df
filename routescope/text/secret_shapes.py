"""What keys, tokens and other secrets look like by themselves, whatever stands around them.

Sources: the services' own documentation, and two kept lists of such shapes, gitleaks' rules and
detect-secrets' plugins, against which `tests/test_redaction.py` measures.

A shape begins where no letter or digit of ASCII stands before it: after an underscore, a Han letter or an
escape too. Each goes forward only, what may be long taken possessively: time grows with the text's length.
"""

from __future__ import annotations

import re
from itertools import groupby, pairwise

_BEGIN = r"(?<![A-Za-z0-9])"
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

# What only a secret begins with, and what follows.
_SHAPES = (
    # Models and what is built around them.
    r"pk-lf-[\w-]{20,}+",
    r"sk-(?:ant|proj|svcacct|admin|or|lf|cp|kimi|litellm)-[\w-]{8,}+",
    r"gsk_\w{20,}+",
    r"xai-[\w-]{20,}+",
    r"hf_\w{20,}+",
    r"api_org_\w{20,}+",
    r"r8_\w{20,}+",
    r"pplx-\w{20,}+",
    r"fw_\w{16,}+",
    r"nvapi-[\w-]{20,}+",
    r"tvly-[\w-]{16,}+",
    r"dapi[a-f0-9]{32}(?:-\d)?",
    r"lsv2_(?:pt|sk)_\w{20,}+",
    r"ph[cx]_\w{20,}+",
    r"csk-\w{20,}+",
    r"tgp_v1_[\w-]{20,}+",
    r"pcsk_\w{20,}+",
    r"jina_\w{20,}+",
    r"pa-[\w-]{40,}+",
    r"esecret_\w{16,}+",
    r"cpk_\w{16,}+(?:\.\w++)*+",
    r"e2b_[a-f0-9]{32,}+",
    r"fc-[a-f0-9]{32}",
    r"re_\w{8}_\w{20,}+",
    r"luma-\w{8,}+-\w{8,}+[\w-]*+",
    r"ABSK[\w+/]{40,}+=*+",
    r"bedrock-api-key-[\w+/=]{20,}+",
    r"[0-9a-f]{32}\.[A-Za-z0-9]{16}(?![A-Za-z0-9])",
    rf"{_UUID}:[0-9a-f]{{32}}",
    # Clouds.
    r"(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA|AROA)[A-Z0-9]{12,}+",
    r"AIza[\w-]{30,}+",
    r"AQ\.[\w-]{40,}+",
    r"ya29\.[\w-]{20,}+",
    r"1//0[\w-]{40,}+",
    r"GOCSPX-[\w-]{20,}+",
    r"LTAI[A-Za-z0-9]{12,}+",
    r"AKID[A-Za-z0-9]{28,}+",
    r"AKLT[A-Za-z0-9+/=]{30,}+",
    r"ALTAK-?[A-Za-z0-9]{21,}+(?:/[0-9a-f]{30,}+)?",
    r"bce-v3/ALTAK-[A-Za-z0-9]{20,}+/[0-9a-f]{30,}+",
    r"AQVN[\w-]{35,}+",
    r"YC[\w-]{38}(?![\w-])",
    r"t1\.[\w-]++=*+\.[\w-]{80,}+=*+",
    r"do[opr]_v1_[a-f0-9]{40,}+",
    r"v1\.0-[a-f0-9]{24}-[a-f0-9]{100,}+",
    r"4b1d[A-Za-z0-9]{38}(?![A-Za-z0-9])",
    r"HRKU-[\w-]{40,}+",
    r"fo1_[\w-]{40,}+",
    r"fm[12][ar]?_[\w+/]{60,}+=*+",
    r"napi_\w{40,}+",
    r"sb_secret_[\w-]{16,}+",
    r"sbp_[a-f0-9]{40}",
    r"vc[pkir]_\w{20,}+",
    r"pscale_(?:tkn|oauth|pw)_[\w=.-]{32,}+",
    r"sha256~[\w-]{40,}+",
    r"tk-us-[\w-]{40,}+",
    r"pul-[a-f0-9]{40}",
    r"pnu_\w{30,}+",
    r"dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.-]{40,}+",
    r"hv[sbr]\.[\w-]{24,}+",
    r"s\.[A-Za-z0-9]{24}(?![A-Za-z0-9])",
    r"AGE-SECRET-KEY-1[A-Z0-9]{50,}+",
    r"ops_eyJ[\w+/=]{50,}+",
    r"A3-[A-Z0-9]{6}-[A-Z0-9]{5,11}(?:-[A-Z0-9]{5,6}){2,4}",
    # Code, packages, tickets.
    r"gh[pousr]_[A-Za-z0-9]{16,}+",
    r"github_pat_\w{16,}+",
    r"gl(?:pat|ptt|cbt|dt|ffct|ft|imt|agent|oas|rt|rtr|soat|wt)-[\w.-]{16,}+",
    r"GR1348941[\w-]{16,}+",
    r"npm_\w{16,}+",
    r"pypi-[\w-]{16,}+",
    r"rubygems_[a-f0-9]{40,}+",
    r"CLOJARS_\w{40,}+",
    r"dckr_[po]at_[\w-]{16,}+",
    r"oy2[a-z0-9]{43}",
    r"AKCp[A-Za-z0-9]{60,}+",
    r"cmVmd[A-Za-z0-9]{50,}+",
    r"ATATT3[\w=-]{50,}+",
    r"ATCTT3[\w=-]{50,}+",
    r"ATBB[\w=]{20,}+",
    r"lin_(?:api|oauth)_\w{20,}+",
    r"ntn_\w{30,}+",
    r"secret_[A-Za-z0-9]{32,}+",
    r"figd_[\w-]{30,}+",
    r"PMAK-[a-f0-9]{20,}+-[a-f0-9]{20,}+",
    r"sg[ps]_\w{30,}+",
    r"sq[upa]_[a-f0-9]{40}",
    r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}",
    r"(?:pat|sat)\.[\w-]{22}\.[A-Za-z0-9]{20,}+\.[A-Za-z0-9]{20}",
    r"API-[A-Z0-9]{26}(?![A-Z0-9])",
    r"xox[abeoprs](?:\.xox[bp])?-[\w-]{10,}+",
    r"xapp-\d-[\w-]{10,}+",
    r"p8e-[a-z0-9]{30,}+",
    r"CFPAT-[\w-]{30,}+",
    r"dnkey-[\w=-]{40,}+",
    r"rdme_[a-z0-9]{40,}+",
    r"sm_(?:aat|pat|sat)_\w{16,}+",
    r"ico-[A-Za-z0-9]{30,}+",
    r"fio-u-[\w=-]{40,}+",
    r"(?:sc|ext|scauth|authress)_[a-z0-9]{5,30}\.[a-z0-9]{4,6}\.acc[_-][a-z0-9-]{10,32}\.[\w+/=-]{30,}+",
    r"s-s4t2(?:ud|af)-[a-f0-9]{64}",
    # Watching and mail.
    r"glc_[\w+/]{30,}+=*+",
    r"glsa_\w{32,}+",
    r"NR(?:AK|II|JS|RA|AL)-[A-Za-z0-9-]{16,}+",
    r"sntry[su]_[\w+/=]{30,}+",
    r"dt0[cs]\d\d\.[A-Za-z0-9]{20,}+\.[A-Za-z0-9]{40,}+",
    r"SG\.[\w.-]{16,}+",
    r"xkeysib-[\w-]{40,}+",
    r"xsmtpsib-[\w-]{40,}+",
    r"[0-9a-f]{32}-us\d{1,2}(?!\d)",
    r"(?:AC|SK)[0-9a-fA-F]{32}(?![0-9a-fA-F])",
    r"\d{8,10}:[\w-]{35}(?![\w-])",
    r"[MNO][\w-]{23,25}\.[\w-]{6}\.[\w-]{27,}+",
    r"tfp_[\w.=-]{30,}+",
    r"live_[\w=-]{35,}+",
    # Money and shops.
    r"whsec_[\w+/=]{16,}+",
    r"sq0(?:atp|csp|idp)-[\w-]{20,}+",
    r"EAAA[\w-]{22,}+",
    r"EAA[A-Z][A-Za-z0-9]{80,}+",
    r"EZ[AT]K[A-Za-z0-9]{50,}+",
    r"shp(?:at|ca|pa|ss|ua)_[A-Fa-f0-9]{16,}+",
    r"shippo_(?:live|test)_[A-Fa-f0-9]{40}",
    r"FLW(?:SEC|PUB)K(?:_TEST)?-[\w-]{12,}+",
    r"duffel_(?:test|live)_[\w=-]{40,}+",
    rf"access-(?:sandbox|development|production)-{_UUID}",
    r"[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk",
    # Made of other things.
    r"eyJrIjoi[A-Za-z0-9]{50,}+=*+",
    r"ZXlK[\w+/=-]{40,}+",
    r"(?:pk|sk|tk)\.[\w-]{40,}+\.[\w-]{16,}+",
    r"[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{40,}+",
    r"[\w~.]{3}\dQ~[\w~.-]{31,34}(?![\w~.-])",
    r"b3BlbnNzaC1rZXktdjE[\w+/=]{40,}+",
)

_OF_STRIPE = re.compile(r"[rs]k_(?:live|test|prod)_[A-Za-z0-9]{10}")
_KEY_OF_AN_API = re.compile(r"(?:sk|rsk|rsp)[-_]")
_INNER_KEYS = tuple(
    f"{before}{key}{after}" for before in "-_" for key in ("sk", "rsk", "rsp") for after in "-_"
)
_DIGIT, _LONG_PIECE = re.compile(r"[0-9]"), re.compile(r"[A-Za-z0-9]{16}")
_OFTEN_A_NAME = re.compile(r"(?:pk|rk)[-_]")
_PIECE = re.compile(r"[A-Za-z0-9]++")
_CASED_WORD = re.compile(r"[A-Z]?[a-z]++|[A-Z]++")
_LONGEST_WORD = 18


def _alternatives() -> str:
    """Return the shapes as one pattern, those of one first letter together, so that most fail at once."""

    def first(shape: str) -> str:
        return shape[0] if shape[0].isalnum() else ""

    return "|".join(f"(?:{'|'.join(group)})" for _, group in groupby(sorted(_SHAPES, key=first), first))


_SHAPE = re.compile(_BEGIN + f"(?:{_alternatives()})", re.ASCII)
_PREFIXED = re.compile(_BEGIN + r"(?:sk|pk|rk|rsk|rsp|key|tok|pat)[-_][\w-]*+", re.ASCII)
"""What often begins a key, and often a name."""
_REST = re.compile(r"[\w-]*+", re.ASCII)

_WEB_TOKEN = re.compile(r"(?<![\w-])[\w-]{11,}+(?=\.)(?:\.[\w-]{8,}+)(?:\.[\w-]*+){0,3}+", re.ASCII)
_TOKENS_BEGINNING = re.compile(_BEGIN + r"ey[A-Za-z0-9][\w-]{8}", re.ASCII)
"""A JSON web token begins with an object in Base64. It is found by its whole, so that a run is read once."""

BLOCK = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
    r".*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)"
    r"|PuTTY-User-Key-File-\d:.*?(?:Private-MAC:\s*+\S++|\Z)",
    re.DOTALL,
)
"""A private key in its armour, its line breaks escaped or not."""

HOOK = re.compile(
    r"""(?:
        hooks\.slack\.com/(?:services|workflows|triggers)/
      | discord(?:app)?\.com/api/(?:v\d++/)?webhooks/
      | (?<![\w-])[\w-]++\.webhook\.office\.com/
      | hooks\.zapier\.com/hooks/
      | open\.(?:feishu\.cn|larksuite\.com)/open-apis/bot/v2/hook/
      | api\.telegram\.org/bot
    )[^\s"'<>\\]{8,}+""",
    re.VERBOSE,
)
"""An address that is a secret itself: whoever knows it may write there."""


def found_in(text: str) -> list[tuple[int, int]]:
    """Return where secrets stand by their shape, in order; two may overlap."""
    spans = []
    done = 0
    for found in _SHAPE.finditer(text):
        if found.start() >= done and not _is_made_of_words(found[0]):
            rest = _REST.match(text, found.end())
            done = rest.end() if rest else found.end()
            spans.append((found.start(), done))
    if "ey" in text:
        for found in _WEB_TOKEN.finditer(text):
            begins = _TOKENS_BEGINNING.search(text, found.start(), text.index(".", found.start()))
            if begins and not _is_made_of_words(text[begins.start() : found.end()]):
                spans.append((begins.start(), found.end()))
    for found in _PREFIXED.finditer(text):
        if _is_secret(found[0]):
            spans.append(found.span())
        else:
            # What only begins like one may end with one: key-of-sk-...
            inner = 1 + max(found[0].rfind(beginning) for beginning in _INNER_KEYS)
            if inner and _is_secret(found[0][inner:]):
                spans.append((found.start() + inner, found.end()))
    return sorted(spans)


def _is_secret(found: str) -> bool:
    """Whether what has a key's prefix is one, and no name that only begins like one."""
    if _OF_STRIPE.match(found):
        return True
    if opened := _KEY_OF_AN_API.match(found):
        rest = found[opened.end() :]
        return len(rest) >= 8 and (
            _DIGIT.search(rest) is not None or _LONG_PIECE.search(rest) is not None or is_random(rest)
        )
    if opened := _OFTEN_A_NAME.match(found):
        return len(found) - opened.end() >= 8 and is_random(found[opened.end() :])
    return any(len(piece) >= 16 and is_random(piece) for piece in _PIECE.findall(found))


def is_random(text: str) -> bool:
    """Whether a text is drawn by a machine rather than made of words, versions and numbers.

    One of its runs of letters and digits must mix these, or their case, as no name does.
    """
    return any(_is_drawn(piece) for piece in _PIECE.findall(text))


def last_drawn(text: str, start: int, end: int) -> int:
    """Return where the last run of letters and digits begins that is drawn (`is_random`); -1 for none."""
    return max((one.start() for one in _PIECE.finditer(text, start, end) if _is_drawn(one[0])), default=-1)


def _is_made_of_words(text: str) -> bool:
    return all(
        (piece.isalpha() and len(piece) <= _LONGEST_WORD and not _is_drawn(piece))
        or (piece.isdigit() and len(piece) <= 4)
        for piece in _PIECE.findall(text)
    )


def _is_drawn(piece: str) -> bool:
    length = len(piece)
    if length < 6:
        return False
    if piece.isalpha():
        words = _CASED_WORD.findall(piece)
        short = sum(len(word) <= 2 for word in words)
        return length >= 28 or (length >= 10 and len(words) >= 4 and short * 5 >= len(words) * 2)
    if piece.isdigit():
        return length >= 20
    changes = sum(a.isdigit() != b.isdigit() for a, b in pairwise(piece))
    # "20240718T1200", "api03" and "v2beta1" are names: few changes, in short runs.
    return changes >= 4 or (length >= 14 and changes >= 1) or (length >= 8 and changes >= 3)
