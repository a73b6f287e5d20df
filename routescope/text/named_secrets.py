"""Secrets by what they are called: ``password: ...``, ``OPENAI_API_KEY=...``, ``<secret>...</secret>``.

Found is a name and what sets a value apart from it, in any notation: assignments, JSON (escaped, too), YAML,
XML, command lines, headers, prose in several languages. Whether the value is a secret, `is_one` decides by
what kind of name it has, and how surely it is a value of it: "password: required" is none.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import NamedTuple

from routescope.text.secret_shapes import is_random, last_drawn

NAMES = tuple(
    """
    key token secret pass pwd auth cred cookie otp pin sig jwt bearer basic cvv cvc code contrase
    senha 密 秘 口令 令牌 验证码 授权码
    """.split()  # noqa: SIM905
)
"""What a text must hold, in small letters, to have a named secret in it."""


class SecretKind(enum.Enum):
    """What a name says of its value."""

    PASSWORD = enum.auto()
    """Somebody's choice: a word, too."""
    KEY = enum.auto()
    """A machine's: hardly ever a word."""
    CODE = enum.auto()
    """Some digits."""
    PERHAPS = enum.auto()
    """A secret only where it looks drawn: a token may be a name, or a piece of a word."""


class Named(NamedTuple):
    """A value with a secret's name: where it begins and ends."""

    start: int
    end: int


_PASSWORDS = tuple(
    """
    password passwd pwd passphrase passcode passwort kennwort contraseña contrasena motdepasse
    senha пароль secret secretkey secretvalue clientsecret sharedsecret
    """.split()  # noqa: SIM905
)
_KEYS = tuple(
    """
    apikey accesskey accesskeyid secretaccesskey privatekey accountkey sharedkey sharedaccesskey
    sharedaccesssignature masterkey signingkey encryptionkey servicekey authkey subscriptionkey
    licensekey licencekey adminkey rootkey storagekey functionkey hostkey appkey applicationkey
    sessionkey secrettoken apitoken accesstoken refreshtoken authtoken idtoken bearertoken
    sessiontoken securitytoken csrftoken xsrftoken bottoken personaltoken deploytoken privatetoken
    jobtoken oauthtoken usertoken servicetoken pushtoken jwt proxyauthorization sessioncookie
    instrumentationkey connectionstring authorizationcode recoverycode backupcode recoverykey
    seedphrase mnemonic securitykey
    """.split()  # noqa: SIM905
)
_CODES = frozenset(
    """
    pin otp totp cvv cvc mfacode verificationcode securitycode onetimecode logincode twofactorcode
    2facode
    """.split()  # noqa: SIM905
)
_PERHAPS = tuple(
    """
    token credential authorization auth signature sig bearer hmac cookie
    """.split()  # noqa: SIM905
)
_NO_SECRETS = tuple(
    """
    pagetoken continuationtoken nexttoken unexpectedtoken cursortoken synctoken publickey stoptoken
    eostoken bostoken padtoken functionsignature methodsignature
    """.split()  # noqa: SIM905
)
_BEFORE = frozenset(
    """
    api access secret private account shared master signing encryption service auth subscription
    license admin root storage client session refresh id bearer security bot personal deploy
    verification recovery backup unexpected stop page next continuation public mfa login oauth app
    function method de passe mot webhook user authorization one time one-time
    """.split()  # noqa: SIM905
)
_AFTER = frozenset(
    """
    key token secret code id signature passe phrase string cookie
    """.split()  # noqa: SIM905
)

_STEM = re.compile(
    "auth|bearer|c(?:red|ookie|vv|vc|ode|ontrase)|hash|jwt|k(?:ey|ennwort)|m(?:ac|nemonic)|otp"
    "|p(?:ass|wd|in|hrase)|s(?:ecret|ig|tring|enha)|token|x-(?:amz|goog)|пароль"
)
_NAME_REST = re.compile(r"[\w.-]{0,64}")
_MOST_BEFORE = 64
_LONGEST_NAME = 200
_SEPARATOR = re.compile(
    r"""(?P<closed>[\\"'`\]]{0,8}+)
    (?P<by>\s{0,3}(?::{1,2}=|=>|={1,3}|->|:|：|＝)\s{0,3}|>|\s{1,3}(?:is|are|was|equals|ist|lautet|est|es|é)\s{1,3})
    (?P<opened>[\\"'`@(]{0,8}+)""",
    re.VERBOSE,
)
_FLAG = re.compile(r"(?<!\S)--(?P<name>\w[\w-]*+)(?P<closed>)(?P<by>[ \t]++)(?P<opened>[\\\"'`]*+)")
_SPOKEN_HAN = re.compile(
    r"(?P<name>密码|密碼|密钥|密鑰|秘钥|秘鑰|口令|令牌|验证码|授权码)(?P<closed>[\\\"'`”」]*+)"
    r"(?P<by>\s{0,3}(?:[:：=＝]|是|为|為)\s{0,3})(?P<opened>[\\\"'`“「]*+)(?=[!-~])"
)
_HAN_KINDS = {"令牌": SecretKind.PERHAPS, "验证码": SecretKind.CODE}
_PAIR = re.compile(
    r"""[\\"'](?P<name>[A-Za-z][\w.-]*+)(?P<closed>[\\"']++)[,\s]{1,3}[\\"']*+(?:value|val|content)[\\"']*+
    (?P<by>\s{0,3}[=:]\s{0,3})(?P<opened>[\\"']++)""",
    re.VERBOSE,
)
_VALUE = re.compile(r"[^\s\"'`\\<>,;&|)}\]，。；！？、）】」》”\u4e00-\u9fff]++")
_SHORTEST_VALUE = 3
_LOOKED_AT = 512
"""Characters of a value by which it is judged: a secret's beginning tells."""
_COOKIES = re.compile(r"\bCookie2?[\\\"']*+\s?:\s?[\\\"']*+([^\"'\\\r\n]*+)", re.IGNORECASE)
_SCHEME = re.compile(
    r"\b(?:Bearer|Token|ApiKey|Api-Key|Key|Splunk|SSWS|Snowflake)\s++([\w+/.~=-]{8,}+)", re.IGNORECASE
)
_BASIC = re.compile(r"\bBasic\s++([A-Za-z0-9+/]{8,}+=*+)", re.IGNORECASE)
_IN_URL = re.compile(r"(?<![\w+.-])\w[\w+.-]*+://[^\s/:@\"'<>]*+:([^\s/@\"'<>]++)@")
_IN_DSN = re.compile(r"(?<![\w/:.-])\w[\w.-]*+:([^\s:@/\"'<>]{3,}+)@(?:tcp|unix|udp)?\(")
_CURL_USER = re.compile(r"\s(?:-u|--user)[ =]?[\"']?[\w.@-]++:([^\s\"']{3,}+)")
_IN_QUERY = re.compile(
    r"[?&;](?:key|code|sig|signature|auth|pass|token|hash|x-amz-\w++|x-goog-\w++)=", re.IGNORECASE
)

_MOST_QUOTED = 4096
_WORD_PARTS = re.compile(r"[-'’/.]")
_PLACEHOLDER = re.compile(
    r"[*•.…<{$%\[]|redacted|your[-_]|(?:x{3,}|\*{3,})|os\.environ|process\.env|env[.:]", re.IGNORECASE
)
_MASKS = ("***", "…", "...", "xxxxxx", "XXXXXX")
_NAME_PARTS = re.compile(r"[-_.\s]++")
_LAST_WORD = re.compile(r"(?<![A-Za-z-])([A-Za-z-]++)[ _]{1,2}\Z")
_NO_VALUES = frozenset(
    """
    null none nil undefined true false string str bytes number object array yes no not is are was
    must may should can cannot required missing invalid incorrect wrong expired empty unknown
    optional mandatory given provided present absent valid correct revoked disabled enabled blocked
    rejected denied refused unauthorized forbidden found used unused set unset needed supported
    unsupported deprecated malformed mismatch mismatched too short long weak strong please enter
    check use the a an of for from in on at to and or with without by this that your my our their
    its it as if when where which who been being be has have had do does did will example
    placeholder redacted hidden masked secret password token key apikey bearer basic digest header
    body query cookie environment env file path url type name value field parameter argument
    protected authenticated same-origin include omit exceeded limit reached unavailable ok error
    failed failure success pending verification rotation only stored encrypted hashed generated
    created changed updated reset sent ungültig falsch abgelaufen erforderlich incorrecta
    incorrecto inválida inválido requerida incorrecte invalide obligatoire requis
    """.split()  # noqa: SIM905
)


def found_in(text: str) -> Iterator[Named]:
    """Yield where values stand that are secrets by their names; they may repeat and overlap."""
    if "@" in text or " -u" in text or "--user" in text:
        for pattern in (_IN_URL, _IN_DSN, _CURL_USER):
            for found in pattern.finditer(text):
                if not _is_masked(found[1]) and not _PLACEHOLDER.match(found[1]):
                    yield Named(*found.span(1))
    lowered = text.lower()
    if len(lowered) != len(text):  # A few letters of other scripts have two for their small one.
        lowered = "".join(small if len(small := one.lower()) == 1 else one for one in text)
    if any(name in lowered for name in NAMES):
        yield from _named_in(text, lowered)


def _named_in(text: str, lowered: str) -> Iterator[Named]:
    yield from _separated(text, lowered)
    for pattern, kinds in ((_FLAG, None), (_PAIR, None), (_SPOKEN_HAN, _HAN_KINDS)):
        done = 0
        for found in pattern.finditer(text):
            kind = kind_of(found["name"]) if kinds is None else kinds.get(found["name"], SecretKind.PASSWORD)
            if kind is None or found.start() < done:
                continue
            if value := _value(text, found["name"], found, kind, sure=kinds is None):
                done = value.end
                yield value
    for found in _COOKIES.finditer(text):
        if "=" in found[1] and not _PLACEHOLDER.match(found[1]):
            yield Named(*found.span(1))
    for found in _SCHEME.finditer(text):
        if is_random(found[1]):
            yield Named(*found.span(1))
    for found in _BASIC.finditer(text):
        if is_random(found[1]) or found[1].endswith("=") or len(found[1]) >= 16:
            yield Named(*found.span(1))


def _separated(text: str, lowered: str) -> Iterator[Named]:
    """Yield the values that a name and a mark stand before."""
    done = 0
    runs = _Runs(text)
    for stem in _STEM.finditer(lowered):
        if stem.start() < done:
            continue
        rest = _NAME_REST.match(text, stem.end())
        done = rest.end() if rest else stem.end()
        if not (found := _SEPARATOR.match(text, done)):
            continue
        start = stem.start()
        least = max(start - _MOST_BEFORE, 0)
        while start > least and ((before := text[start - 1]).isalnum() or before in "_-."):
            start -= 1
        name = text[start:done]
        kind = kind_of(name, text[max(start - 24, 0) : start])
        if kind is None:
            if not (start and _IN_QUERY.match(text, start - 1)):
                continue
            kind = SecretKind.PERHAPS
        if value := _value(text, name, found, kind, runs=runs):
            done = value.end
            yield value


class _Runs:
    """Where the values end that stand without quotes, each run of their characters gone through once.

    One may hold many names (``token=token=token=...``), and each of these has the rest of it for its value.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._start = self._end = self._last = 0
        self._drawn: int | None = None

    def ends(self, start: int) -> tuple[int, int]:
        """Return where the value that begins here ends: without and with the marks that end a sentence."""
        if not self._start <= start < self._end:
            found = _VALUE.match(self._text, start)
            self._start, self._end = start, found.end() if found else start
            self._last, self._drawn = self._end, None
            while self._last > start and self._text[self._last - 1] in ".:":
                self._last -= 1
        return max(self._last, start), self._end

    def is_random(self, start: int) -> bool:
        """Whether what begins here, in the run that was last asked for, has something drawn in it."""
        if self._drawn is None:
            self._drawn = last_drawn(self._text, self._start, self._end)
        return start <= self._drawn


def kind_of(name: str, before: str = "") -> SecretKind | None:
    """Return what a name says of its value; None for a name of no secret. ``before``: what precedes it."""
    # Its end tells, and the name of a JSON field may be of any length.
    return _kind_of(name[-_LONGEST_NAME:], before)


@lru_cache(maxsize=4096)
def _kind_of(name: str, before: str) -> SecretKind | None:
    plain = _NAME_PARTS.sub("", name.lower())
    if plain in _AFTER and (earlier := _LAST_WORD.search(before)) and earlier[1].lower() in _BEFORE:
        plain = earlier[1].lower().replace("-", "") + plain
    plain = plain.removesuffix("s") if not plain.endswith("ss") else plain
    if plain.endswith(_NO_SECRETS):
        return None
    if plain.endswith(_PASSWORDS) or (plain == "pass" and name.islower()) or name.upper().endswith("_PASS"):
        return SecretKind.PASSWORD
    if plain.endswith(_KEYS):
        return SecretKind.KEY
    last = _NAME_PARTS.split(name.lower())[-1]
    if last in _CODES or plain in _CODES:
        return SecretKind.CODE
    return SecretKind.PERHAPS if plain.endswith(_PERHAPS) else None


def is_one(
    value: str, kind: SecretKind, sure: bool, told: bool = False, drawn: Callable[[], bool] | None = None
) -> bool:
    """Whether a value is a secret. ``sure``: it is certainly assigned; ``told``: a word alone is a value.

    ``drawn`` answers whether a machine drew it, where that is known more cheaply than by going through it.
    """
    value = value[:_LOOKED_AT]
    bare = value.rstrip(".:!?")
    if not bare or _PLACEHOLDER.match(value) or _is_masked(value) or bare.lower() in _NO_VALUES:
        return False
    if kind is SecretKind.CODE:
        return bare.isdecimal() and 3 <= len(bare) <= 8
    drawn = drawn or partial(is_random, bare)
    if kind is SecretKind.PERHAPS:
        return len(bare) >= 12 and drawn()
    if kind is SecretKind.PASSWORD:
        if sure:
            return len(bare) >= 4
        return len(bare) >= 4 and (told or drawn() or not _is_words(bare))
    if sure:
        return len(bare) >= 6
    return len(bare) >= 8 and drawn()


def _is_masked(value: str) -> bool:
    return any(mask in value for mask in _MASKS)


def _is_words(value: str) -> bool:
    """Whether nothing but letters is in a value, as in "case-sensitive" or "don't"."""
    return all(part.isalpha() for part in _WORD_PARTS.split(value) if part)


def _value(
    text: str,
    name: str,
    found: re.Match[str],
    kind: SecretKind,
    *,
    sure: bool = False,
    runs: _Runs | None = None,
) -> Named | None:
    """Return where the value stands that a name is set apart from by what was found, if it is a secret."""
    start = found.end()
    opened = found["opened"].strip("\\@(")[-1:]
    if opened:
        closing = {"“": "”", "「": "」"}.get(opened, opened)
        end = text.find(closing, start, start + _MOST_QUOTED)
        end = min(len(text), start + _MOST_QUOTED) if end < 0 else end
        while end > start and text[end - 1] == "\\":
            end -= 1
        ends, drawn = True, None
    else:
        runs = runs or _Runs(text)
        end, beyond = runs.ends(start)
        drawn = partial(runs.is_random, start)
        if beyond - start < _SHORTEST_VALUE:
            return None
        ends = _ends(text, beyond)
    value = text[start : min(end, start + _LOOKED_AT)]
    by = found["by"].strip()
    spoken = by.isalpha()
    sure = sure or (
        not spoken
        and (
            by not in (":", "：")
            or bool(opened)
            or bool(found["closed"].strip("]"))
            # As in YAML; prose says "api key: ..." with a space.
            or (ends and not name.isalpha())
        )
    )
    # After a colon a word that ends the clause is a value; after "is" it may be what is said of a secret.
    return Named(start, end) if is_one(value, kind, sure, ends and not spoken, drawn) else None


def _ends(text: str, at: int) -> bool:
    """Whether a clause ends here: at a mark, a line's end or the text's."""
    return at >= len(text) or text[at] in "\"'`,;)}]<\\\n\r&|，。；！？、）" or text[at - 1] in ".!?"
