"""How numbers, money, durations, times and ids are written: the one module for it.

Every function takes ``None`` for "not known" and answers with an em dash. Nothing here is ever in
scientific notation, and nothing that is not zero is ever written as zero. Unit symbols (ms, s, m, h, d,
k, M) are the same in every language.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from decimal import ROUND_HALF_UP, Context, Decimal
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.translation import gettext as _

UNKNOWN = "—"
Number = int | float | Decimal

_CENT = Decimal("0.01")
_MOST_DECIMALS = 8
_SMALLEST = Decimal(1).scaleb(-_MOST_DECIMALS)
# Wide enough for any sum and any ledger's decimals; the default context stops at 28 digits.
_WIDE = Context(prec=200, rounding=ROUND_HALF_UP)

# --- JSON ------------------------------------------------------------------------------------------------


def pretty_json(value: object) -> str:
    """Write a JSON value indented, its text readable in any script."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def json_value(value: object) -> str:
    """Write a JSON value on one line; a text as it is."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# --- Money, in USD ---------------------------------------------------------------------------------------


def money(amount: Number | None) -> str:
    """Write a total in USD: ``$12.4031``, ``$1,204.50``, ``-$0.20``; below a cent as `money_call` does."""
    return money_call(amount)


def money_call(amount: Number | None) -> str:
    """Write what one call cost in USD: two to four decimals, and up to eight below a cent (``$0.00004875``).

    An amount smaller than eight decimals can show reads ``<$0.00000001``, never ``$0.00``.
    """
    value = _decimal(amount)
    if value is None:
        return UNKNOWN
    sign, value = ("-" if value < 0 else ""), value.copy_abs()
    if value and value < _SMALLEST / 2:
        return f"{sign}<${_fixed(_SMALLEST, _MOST_DECIMALS)}"
    return f"{sign}${_trimmed(value, _MOST_DECIMALS if value < _CENT else 4)}"


def money_column(amount: Number | None) -> str:
    """Write a total as `money` does, but with all four decimals, so that the points of a column align."""
    value = _decimal(amount)
    if value is None or (value and abs(value) < _CENT):
        return money(amount)
    return f"{'-' if value < 0 else ''}${_fixed(value.copy_abs(), 4)}"


def money_average(amount: Number | None) -> str:
    """Write an average in USD, rounded: ``$29.14``, ``$0.0788``, below a cent three digits (``$0.00171``)."""
    value = _decimal(amount)
    if value is None:
        return UNKNOWN
    places = 2 if abs(value) >= 1 or not value else 4 if abs(value) >= _CENT else 2 - value.adjusted()
    if places > _MOST_DECIMALS:
        return money_call(value)
    return f"{'-' if value < 0 else ''}${_fixed(value.copy_abs(), places)}"


def money_round(amount: Number | None) -> str:
    """Write a round amount in USD as short as the scale of a chart needs: ``$0.25``, ``$12``, ``$1.2k``."""
    value = _decimal(amount)
    if value is None:
        return UNKNOWN
    return f"{'-' if value < 0 else ''}${count_round(value.copy_abs())}"


def money_exact(amount: Number | None) -> str:
    """Write an amount in USD with all its decimals: for receipts, whose lines must add up."""
    value = _decimal(amount)
    if value is None:
        return UNKNOWN
    sign, value = ("-" if value < 0 else ""), value.copy_abs()
    return f"{sign}${_trimmed(value, _decimals(value))}"


def point(written: str, column: str = "m") -> str:
    """Return the classes that align a written amount by its decimal point: ``m d4`` for four decimals.

    ``column`` tells a table's columns apart: m, m2 or m3 (``static/css/money.css``). Nothing for words.
    """
    if not written.lstrip("-<").startswith("$"):
        return ""
    decimals = len(written.partition(".")[2])
    return f"{column} d{min(decimals, 12)}" if decimals else ""


# --- Counts ----------------------------------------------------------------------------------------------


def tokens(count: Number | None) -> str:
    """Write a count: exact below a million (``1,204``), from there rounded (``18.2M``, ``1.8B``).

    Where it is rounded, show `exact` on hover.
    """
    value = _decimal(count)
    if value is None:
        return UNKNOWN
    return exact(value) if abs(value) < 1_000_000 else _rounded(value)


def compact(count: Number | None) -> str:
    """Write a count as short as a dense column needs: ``340``, ``1.2k``, ``18.2k``, ``182k``, ``1.2M``."""
    value = _decimal(count)
    if value is None:
        return UNKNOWN
    return exact(value) if abs(value) < 1_000 else _rounded(value)


def count_round(count: Number | None) -> str:
    """Write a round number as short as the scale of a chart needs: ``0.5``, ``340``, ``40k``, ``2.5M``."""
    value = _decimal(count)
    if value is None or abs(value) < 1_000:
        return exact(value)
    return _rounded(value).replace(".0", "")


def exact(number: Number | None) -> str:
    """Write a number with all its digits, grouped by thousands: ``18,204,331``."""
    value = _decimal(number)
    if value is None:
        return UNKNOWN
    places = _decimals(value)
    return _fixed(value, places) if value else "0"


def plain(number: Number | None) -> str:
    """Write a number for machines: all its digits, a point, no grouping. ``12.40315``, ``0``."""
    value = _decimal(number)
    if value is None:
        return ""
    return f"{value.normalize(_WIDE):f}" if value else "0"


def rate(number: Number | None) -> str:
    """Write an average per minute: ``6.2``, ``0.04``, from a hundred on without decimals."""
    value = _decimal(number)
    if value is None:
        return UNKNOWN
    if not value or abs(value) >= 100:
        return tokens(value.quantize(Decimal(1), ROUND_HALF_UP))
    return (
        f"{value:.1f}"
        if abs(value) >= 1
        else f"{value:.2g}"
        if abs(value) >= Decimal("0.0001")
        else "<0.0001"
    )


def percent(ratio: Number | None) -> str:
    """Write a ratio (1 is all) as a percentage with one decimal: ``98.7%``, ``41%``.

    ``0%`` and ``100%`` are said only where they are exact: next to them it reads ``<0.1%`` and ``>99.9%``.
    """
    value = _decimal(ratio)
    if value is None:
        return UNKNOWN
    hundred = value * 100
    if hundred and abs(hundred) < Decimal("0.05"):
        return "<0.1%" if hundred > 0 else "-<0.1%"
    if Decimal("99.95") <= hundred < 100:
        return ">99.9%"
    return f"{_fixed(hundred, 1).removesuffix('.0')}%"


def change(now: Number | None, before: Number | None) -> str:
    """Write how a figure differs from what it was: ``+12%``, ``-3.4%``, from ten times on as many times (14).

    Nothing where it was nothing, or less: then no share says how it differs.
    """
    value, was = _decimal(now), _decimal(before)
    if value is None or was is None or was <= 0:
        return ""
    share = (value - was) / was
    if share >= 9:
        return f"×{_fixed(value / was, 0)}"
    hundred = share * 100
    if hundred and abs(hundred) < Decimal("0.05"):
        return "+<0.1%" if hundred > 0 else "-<0.1%"
    places = 1 if abs(hundred) < 10 else 0
    written = f"{_fixed(hundred.copy_abs(), places).removesuffix('.0')}%"
    return f"{'-' if hundred < 0 else '+' if hundred else '±'}{written}"


def ratio(number: Number | None) -> str:
    """Write how many of the one come to each of the other: ``340 : 1``, ``12.4 : 1``, ``0.25 : 1``."""
    value = _decimal(number)
    if value is None:
        return UNKNOWN
    if value and abs(value) < Decimal("0.005"):
        return "<0.01 : 1"
    return f"{_fixed(value, 0 if abs(value) >= 100 else 1 if abs(value) >= 1 else 2)} : 1"


# --- Durations, in milliseconds --------------------------------------------------------------------------


def duration_round(milliseconds: Number | None) -> str:
    """Write a round duration as short as the scale of a chart needs: ``500 ms``, ``2.5 s``, ``20 m``."""
    value = _decimal(milliseconds)
    if value is None or value < 1_000:
        return UNKNOWN if value is None else f"{count_round(value)} ms"
    if value < 600_000:
        return f"{(value / 1_000).normalize():f} s"
    return f"{_trimmed(value / 60_000, 1).rstrip('0').rstrip('.')} m"


def duration(milliseconds: Number | dt.timedelta | None) -> str:
    """Write a duration: ``842 ms``, ``2.31 s``, ``1 m 12 s``, ``3 h 5 m``, ``2 d 4 h``."""
    if isinstance(milliseconds, dt.timedelta):
        value: Decimal | None = Decimal(milliseconds // dt.timedelta(microseconds=1)) / 1000
    else:
        value = _decimal(milliseconds)
    if value is None:
        return UNKNOWN
    sign, value = ("-" if value < 0 else ""), value.copy_abs()
    if 0 < value < 1:
        return f"{sign}<1 ms"
    whole = int(_quantized(value, 0))
    if whole < 1_000:
        return f"{sign}{whole} ms"
    hundredths = int(_quantized(value / 10, 0))
    if hundredths < 6_000:
        return f"{sign}{hundredths // 100}.{hundredths % 100:02} s"
    seconds = int(_quantized(value / 1_000, 0))
    if seconds < 3_600:
        return f"{sign}{seconds // 60} m {seconds % 60} s"
    minutes = int(_quantized(value / 60_000, 0))
    if minutes < 1_440:
        return f"{sign}{minutes // 60} h {minutes % 60} m"
    hours = int(_quantized(value / 3_600_000, 0))
    return f"{sign}{hours // 24} d {hours % 24} h"


# --- Times, in the active time zone ----------------------------------------------------------------------


def when(moment: dt.datetime | None) -> str:
    """Write a moment in the active time zone, to the second: ``2026-07-14 14:02:11``."""
    return UNKNOWN if moment is None else f"{timezone.localtime(moment):%Y-%m-%d %H:%M:%S}"


def when_ms(moment: dt.datetime | None) -> str:
    """Write a moment in the active time zone, to the millisecond: ``2026-07-14 14:02:11.482``."""
    if moment is None:
        return UNKNOWN
    local = timezone.localtime(moment)
    return f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03}"


def clock(moment: dt.datetime | None) -> str:
    """Write the time of day in the active time zone, to the millisecond: ``14:02:11.482``."""
    return when_ms(moment)[11:] or UNKNOWN


def minute(moment: dt.datetime | None) -> str:
    """Write a minute in the active time zone: ``14:02`` today, else with its day, ``07-14 14:02``."""
    if moment is None:
        return UNKNOWN
    local = timezone.localtime(moment)
    today = timezone.localdate()
    if local.date() == today:
        return f"{local:%H:%M}"
    return f"{local:%m-%d %H:%M}" if local.year == today.year else f"{local:%Y-%m-%d %H:%M}"


def day(moment: dt.datetime | dt.date | None) -> str:
    """Write a day in the active time zone: ``2026-07-14``."""
    return UNKNOWN if moment is None else f"{_date(moment):%Y-%m-%d}"


def month_day(moment: dt.datetime | dt.date | None) -> str:
    """Write a day whose year goes without saying, in the active time zone: ``07-14``."""
    return UNKNOWN if moment is None else f"{_date(moment):%m-%d}"


def ago(moment: dt.datetime | None, now: dt.datetime | None = None) -> str:
    """Write how long ago a moment was: ``3 min ago``, ``5 hr ago``, ``12 days ago``. Less than a minute, and
    what is to come: ``just now``. In the words of browsers' ``Intl.RelativeTimeFormat`` (`static/js/ago.js`).
    """
    if moment is None:
        return UNKNOWN
    minutes = ((now or timezone.now()) - moment) // dt.timedelta(minutes=1)
    if minutes < 1:
        return _("just now")
    if minutes < 60:
        return _("%(n)s min ago") % {"n": minutes}
    if minutes < 48 * 60:
        return _("%(n)s hr ago") % {"n": minutes // 60}
    return _("%(n)s days ago") % {"n": exact(minutes // 1440)}


def _date(moment: dt.datetime | dt.date) -> dt.date:
    return timezone.localtime(moment).date() if isinstance(moment, dt.datetime) else moment


def zone_label(zone: dt.tzinfo | None = None, at: dt.datetime | None = None) -> str:
    """Write a time zone with its offset from UTC at a moment (now by default): ``UTC+08:00 Shanghai``.

    Without ``zone``, the active one.
    """
    zone = zone or timezone.get_current_timezone()
    offset = (at or timezone.now()).astimezone(zone).utcoffset() or dt.timedelta()
    minutes = round(offset.total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    shift = f"UTC{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}" if minutes else "UTC"
    city = zone_city(zone.key) if isinstance(zone, ZoneInfo) else ""
    return f"{shift} {city}".strip()


def zone_city(key: str) -> str:
    """Return the place in an IANA zone's name: ``Shanghai`` of Asia/Shanghai; nothing for fixed offsets."""
    area, _, place = key.rpartition("/")
    if area in ("", "Etc"):
        return ""
    return place.replace("_", " ")


# --- Ids -------------------------------------------------------------------------------------------------

_KIND = re.compile(r"[A-Za-z]{2,12}[_-]")


def short_id(value: str | None, keep: int = 4) -> str:
    """Shorten an id in the middle, its kind kept: ``req_8f3a…9c21``. One that would hardly shrink stays."""
    if not value:
        return UNKNOWN
    kind = _KIND.match(value)
    head = (kind.end() if kind else 0) + keep
    return value if len(value) <= head + keep + 2 else f"{value[:head]}…{value[-keep:]}"


# --- Digits ----------------------------------------------------------------------------------------------


def _decimal(number: Number | None) -> Decimal | None:
    """Return the number as a Decimal; None for what is no number (not a number, infinity)."""
    if number is None:
        return None
    value = number if isinstance(number, Decimal) else Decimal(str(number))
    return value if value.is_finite() else None


def _decimals(value: Decimal) -> int:
    """Return how many decimals the value needs, trailing zeros apart."""
    exponent = value.normalize(_WIDE).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _quantized(value: Decimal, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), context=_WIDE)


def _fixed(value: Decimal, places: int) -> str:
    return f"{_quantized(value, places):,f}"


def _trimmed(value: Decimal, most: int) -> str:
    """Write with at most that many decimals, trailing zeros dropped down to two."""
    whole, _, fraction = _fixed(value, max(most, 2)).partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"


def _rounded(value: Decimal) -> str:
    """Write in thousands, millions or more: three digits, of which at most one is a decimal."""
    sign, value = ("-" if value < 0 else ""), value.copy_abs()
    for power, letter in ((3, "k"), (6, "M"), (9, "B"), (12, "T")):
        scaled = value.scaleb(-power, context=_WIDE)
        # Compared after rounding, so that 999,950,000 reads 1.0B and not 1000M.
        shown = _quantized(scaled, 1 if _quantized(scaled, 1) < 100 else 0)
        if shown < 1_000 or letter == "T":
            return f"{sign}{shown:,f}{letter}"
    raise AssertionError
