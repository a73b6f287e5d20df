"""Call by call: what is right, what the console stores, and what a client does not tell."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from logs.models import Cause, Status
from tests.clients.conftest import Told
from tests.clients.places import FIELDS, RESULTS, versions
from tests.clients.scenarios import WIRES, Scenario

_ANY = ""


@dataclass(frozen=True)
class Silent:
    """Fields that a client does not export, of which calls, and what it does instead.

    Beside those of the table: "record" where it tells of no such call, "id" where it names no ID of it.
    """

    fields: tuple[str, ...]
    why: str
    order: str = _ANY
    api: str = _ANY
    stream: bool | None = None

    def covers(self, call: dict[str, Any], field: str) -> bool:
        """Tell whether the field of this call is one of them."""
        return (
            field in self.fields
            and str(call["order"]).startswith(self.order)
            and (not self.api or self.api == call["api"])
            and (self.stream is None or self.stream == call["stream"])
        )


@dataclass(frozen=True)
class Client:
    """A client as it is tried: its environment, how it is run, and what it leaves out."""

    name: str
    environment: str
    arguments: tuple[str, ...]
    packages: tuple[str, ...]
    silent: tuple[Silent, ...] = ()

    def unheard(self, told: Told) -> int:
        """Return of how many calls it tells nothing."""
        return sum(any(one.covers(call, "record") for one in self.silent) for call in told)


def right(scenario: Scenario) -> dict[str, str]:
    """Return the values that are right, as they are shown."""
    used = scenario.used
    status = scenario.refusal.http_status if scenario.refusal else None
    return {
        "input": str(used.input),
        "output": str(used.output),
        "cached": str(used.cached),
        "written": str(used.written),
        "1h": str(used.written_1h),
        "reasoning": str(used.reasoning),
        "cost": shown(scenario.cost),
        "status": Status.ERROR.name if scenario.is_failure else Status.SUCCESS.name,
        "HTTP": str(status or ""),
        "cause": Cause(scenario.cause).name,
    }


def stored(record: Any) -> dict[str, str]:
    """Return what the console stored, as it is shown."""
    ok = record.http_status == 200
    return {
        "input": str(record.input_tokens),
        "output": str(record.output_tokens),
        "cached": str(record.cached_tokens),
        "written": str(record.cache_write_tokens or 0),
        "1h": str((record.quantities or {}).get("cache_write_1h_tokens", 0)),
        "reasoning": str(record.reasoning_tokens or 0),
        "cost": shown(record.cost),
        "status": Status(record.status).name,
        "HTTP": "" if ok or record.http_status is None else str(record.http_status),
        "cause": Cause(record.cause).name,
    }


def shown(cost: Decimal | None) -> str:
    """Return an amount without zeros at its end; ``unpriced`` where there is none."""
    if cost is None:
        return "unpriced"
    text = f"{cost:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def compare(client: Client, told: Told, records: Sequence[Any]) -> list[str]:
    """Keep a row of every call for the table; return what is not right, a line each."""
    rows, wrong = [], []
    unheard = [call for call in told if any(one.covers(call, "record") for one in client.silent)]
    told = [call for call in told if call not in unheard]
    for call, record in zip(told, records, strict=False):
        scenario = WIRES[call["wire"]][call["order"]]
        expected, found = right(scenario), stored(record)
        silent = {field: why for field in FIELDS if (why := _why(client, call, field))}
        rows.append({"call": call, "expected": expected, "stored": found, "silent": silent})
        wrong += [
            f"{_named(call)}: {field} is {found[field]}, not {expected[field]} ({record.request_id})"
            for field in FIELDS
            if found[field] != expected[field] and field not in silent
        ]
        knows_id = not any(one.covers(call, "id") for one in client.silent)
        if knows_id and call.get("id") and call["id"] not in (record.request_id, record.upstream_request_id):
            wrong.append(f"{_named(call)}: not found by {call['id']}, but by {record.request_id}")
        if scenario.is_failure != ("raised" in call):
            wrong.append(f"{_named(call)}: the client itself says {call}")
    if len(records) != len(told):
        wrong.append(f"{len(records)} records of {len(told)} calls")
    RESULTS.mkdir(parents=True, exist_ok=True)
    kept = {
        "client": client.name,
        "versions": versions(client.environment, client.packages),
        "calls": len(told) + len(unheard),
        "unheard": [{"call": call, "why": _why(client, call, "record")} for call in unheard],
        "ids": sorted({_why(client, call, "id") for call in told} - {""}),
        "records": len(records),
        "rows": rows,
        "wrong": wrong,
    }
    (RESULTS / f"{client.name.replace(' ', '-')}.json").write_text(json.dumps(kept, indent=1))
    return wrong


def _why(client: Client, call: dict[str, Any], field: str) -> str:
    return next((one.why for one in client.silent if one.covers(call, field)), "")


def _named(call: dict[str, Any]) -> str:
    return f"{call['wire']} {call['api']} {call['order']}{' (stream)' if call['stream'] else ''}"
