"""The demo: believable, exact, and the same every time. No database here."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from django.conf import settings

from logs.causes.judging import judge
from logs.ingest.formats import native
from logs.models import Cause, RecordType, Status
from logs.models.events import Failure, UsageEvent
from logs.pricing.same_model import is_another
from routescope.data.ranges import DAY, HOUR, floor
from routescope.demo import DEMO_USER_EMAIL, failures, wire
from routescope.demo.calls import Caller
from routescope.demo.history import Stretch
from routescope.demo.media import SERVICES, Order, orders
from routescope.demo.prices import MODELS
from routescope.demo.records import RecordSent
from routescope.demo.traffic import Traffic, ended, scale_for
from routescope.demo.workloads import TOKENS, WORKLOADS
from tasks.models import UNSUCCESSFUL_STATUSES, TaskStatus
from tasks.providers.catalogue import catalogue

END = datetime(2026, 3, 11, 16, 20, tzinfo=UTC)
"""Traffic is dense at 16:20 UTC of a Wednesday."""
FIVE_DAYS = Traffic(floor(END - 5 * DAY, HOUR), END, 0.67)


@pytest.fixture(scope="module")
def sample() -> list[RecordSent]:
    """Five days of the demo at its usual scale, as its gateway sends them."""
    past = Stretch(END, END - 5 * DAY, END, 200_000, 90)
    return [record for day in past.days_newest_first() for record in past.records_of(day)]


def taken(records: list[RecordSent]) -> list[UsageEvent]:
    """Return what the API makes of records."""
    decoded = native.decode(wire.ndjson(records))
    assert not decoded.rejected
    return [event for _, event in decoded.events]


# --- What it is like ---------------------------------------------------------------------------------------


def test_an_hour_is_always_the_same_and_streams_share_nothing() -> None:
    hour = floor(END - 3 * HOUR, HOUR)
    again = Traffic(FIVE_DAYS.begin, END, 0.67)
    assert FIVE_DAYS.hour(hour) == again.hour(hour)
    live = Traffic(FIVE_DAYS.begin, END, 0.67, "live").hour(hour)
    assert not {event.request_id for event in live} & {event.request_id for event in again.hour(hour)}


def test_the_scale_gives_as_many_records_as_asked_for() -> None:
    begin = floor(END - 90 * DAY, HOUR)
    traffic = Traffic(begin, END, scale_for(10_000, begin, END))
    hours = range((END - begin) // HOUR + 1)
    count = sum(len(traffic.hour(begin + number * HOUR)) for number in hours)
    assert count == pytest.approx(10_000, rel=0.1)


def test_the_demo_user_has_thousands_of_records_in_the_last_day(sample: list[RecordSent]) -> None:
    day = [event for event in sample if event.user == DEMO_USER_EMAIL and event.created_at > END - DAY]
    assert 3_000 < len(day) < 9_000
    assert max(ended(event) for event in sample) <= END
    # No gap: at this hour of the afternoon a call ends every few seconds.
    assert max(ended(event) for event in day) > END - timedelta(minutes=3)


def test_every_cost_is_the_exact_sum_of_its_receipt(sample: list[RecordSent]) -> None:
    receipts = [event for event in sample if event.billing and "lines" in event.billing]
    assert len(receipts) > 0.95 * len(sample)
    for event in receipts:
        assert event.billing is not None
        ratio = Decimal(event.billing["group_ratio"])
        total = Decimal(0)
        for line in event.billing["lines"]:
            amount = line["quantity"] * Decimal(line["unit_price"]) * ratio / line["per"]
            assert amount == Decimal(line["amount"])
            total += amount
        assert event.cost is not None and Decimal(event.cost) == total
        assert total == total.quantize(Decimal("1e-12"))


def test_each_token_is_charged_once_by_its_kind(sample: list[RecordSent]) -> None:
    for event in sample:
        if event.type == "request" and event.billing:
            charged = {line["item"]: line["quantity"] for line in event.billing["lines"]}
            written, audio = event.cache_write_tokens or 0, event.audio_input_tokens or 0
            inward = ("input", "cached_input", "cache_write", "audio_input")
            assert sum(charged.get(kind, 0) for kind in inward) == event.input_tokens
            assert (charged.get("cached_input", 0), charged.get("cache_write", 0)) == (
                event.cached_tokens,
                written,
            )
            assert charged.get("audio_input", 0) == audio
            assert charged.get("output", 0) + charged.get("audio_output", 0) == event.output_tokens


def test_counts_and_times_fit_each_other(sample: list[RecordSent]) -> None:
    for event in sample:
        assert event.cached_tokens + (event.cache_write_tokens or 0) <= event.input_tokens
        assert (event.reasoning_tokens or 0) <= event.output_tokens
        if event.ttft_ms is not None:
            assert event.stream and event.duration_ms is not None and event.ttft_ms < event.duration_ms
        if event.type == "request" and event.status == "success":
            assert event.http_status == 200 and event.error is None and Decimal(event.cost or 0)
            assert event.model in MODELS


def test_gateways_limits_hold_by_the_minute(sample: list[RecordSent]) -> None:
    limits = {(token.user, token.name): token for token in TOKENS}
    calls: Counter[tuple[str, str, datetime]] = Counter()
    refused: set[tuple[str, str, datetime]] = set()
    for event in sample:
        if event.type != "request":
            continue
        minute = (event.user, event.token, event.created_at.replace(second=0, microsecond=0))
        if event.error is not None and (event.error.message or "").startswith("Rate limit reached: "):
            refused.add(minute)
        else:
            calls[minute] += 1
    for (user, name, _), count in calls.items():
        assert count <= (limits[user, name].rpm or count)
    storefront = [minute for minute in refused if minute[:2] == (DEMO_USER_EMAIL, "storefront-assistant")]
    assert storefront, "some minutes go over a limit"
    assert max(calls[minute] for minute in storefront) == 60


def test_errors_of_every_cause_are_there(sample: list[RecordSent]) -> None:
    failed = [event for event in sample if event.status == "error"]
    assert {judge(event) for event in taken(failed)} == set(Cause) - {Cause.NONE}
    assert 0.005 < len(failed) / len(sample) < 0.04
    assert any(event.attempts and event.status == "success" for event in sample)


def test_each_answer_is_judged_as_it_is_meant() -> None:
    caller = Caller(WORKLOADS[0])
    for cause, answers in failures.ANSWERS.items():
        for answer in (answer for by in answers.values() for answer in by):
            rng = random.Random(1)
            event = caller.call(rng, END)
            failures.fail(rng, event, answer)
            assert judge(*taken([event])) is Cause[cause.upper()], answer


def test_refunds_give_back_what_a_failed_call_was_charged(sample: list[RecordSent]) -> None:
    calls = {event.request_id: event for event in sample if event.type in ("request", "task")}
    refunds = [event for event in sample if event.type == "refund"]
    assert refunds
    for refund in refunds:
        call = calls[refund.request_id]
        assert refund.cost is not None and call.cost is not None
        assert -Decimal(refund.cost) == Decimal(call.cost) > 0
        assert refund.created_at > call.created_at
        assert (refund.user, refund.token, refund.group, refund.model) == (
            call.user,
            call.token,
            call.group,
            call.model,
        )
    assert len({refund.request_id for refund in refunds}) == len(refunds)


def test_nothing_leads_outside_the_addresses_made_for_examples(sample: list[RecordSent]) -> None:
    for event in sample:
        address = event.ip or "192.0.2.1"
        assert address.startswith(("192.0.2.", "198.51.100.", "203.0.113.", "2001:db8:")), address
    for service in SERVICES:
        for link in service.result:
            assert link.startswith("{base}/media/")
    assert settings.DEMO_PROVIDER_URL == "https://media.example.com"


def meant(record: RecordSent) -> UsageEvent:
    fields: dict[str, Any] = msgspec.structs.asdict(record)
    counted = {name: fields.pop(name) for name in ("video_seconds", "audio_seconds", "characters")}
    told = {name: fields.pop(name) for name in ("session_id", "answered_model", "tags", "metadata")}
    further = {**(told.pop("metadata") or {}), **{name: value for name, value in told.items() if value}}
    if "tags" in further:
        further["tags"] = list(further["tags"])
    return UsageEvent(
        **{
            **fields,
            "metadata": further or None,
            "type": RecordType[record.type.upper()],
            "status": Status[record.status.upper()],
            "quantities": {name: value for name, value in counted.items() if value is not None} or None,
            "cost": None if record.cost is None else Decimal(record.cost),
            "error": record.error and Failure(**msgspec.structs.asdict(record.error)),
        }
    )


def test_what_is_sent_is_what_is_meant(sample: list[RecordSent]) -> None:
    assert taken(sample[:6_000]) == [meant(record) for record in sample[:6_000]]


def test_content_is_never_sent(sample: list[RecordSent]) -> None:
    assert not any(event.input or event.output for event in taken(sample[:6_000]))


# --- Tasks -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ordered() -> list[Order]:
    """The tasks of 90 days."""
    traffic = Traffic(floor(END - 90 * DAY, HOUR), END, 0.67)
    return list(orders(traffic, traffic.begin, END))


def test_a_few_hundred_tasks_come_in_every_kind_and_end(ordered: list[Order]) -> None:
    assert 300 < len(ordered) < 600
    assert {order.status(END) for order in ordered} == set(TaskStatus)
    assert {order.service.model for order in ordered} == {service.model for service in SERVICES}
    for order in ordered:
        assert order.submitted_at < order.started_at < order.finished_at
        if order.outcome in UNSUCCESSFUL_STATUSES:
            assert order.refund == order.cost


def test_platforms_and_their_words_are_those_of_the_catalogue(db: None, ordered: list[Order]) -> None:
    for service in SERVICES:
        assert service.platform in catalogue().by_slug


# --- What calls are found by -------------------------------------------------------------------------------


def test_calls_have_tags_and_metadata_in_believable_numbers(sample: list[RecordSent]) -> None:
    mine = [event for event in sample if event.user == DEMO_USER_EMAIL and event.type == "request"]
    tags = Counter(tag for event in mine for tag in event.tags or ())
    assert tags.keys() == {
        "env:prod", "env:staging", "feature:search", "feature:summaries", "feature:agent"
    }  # fmt: skip
    assert tags["env:prod"] > 3 * tags["env:staging"] > 0
    assert 0.05 < sum(bool(event.tags) for event in mine) / len(mine) < 0.3
    customers = Counter((event.metadata or {}).get("customer") for event in mine)
    assert customers["northwind"] > 50 and customers["contoso"] > 50
    # What labels are drawn is the same whenever an hour is made again.
    hour = floor(END - 4 * HOUR, HOUR)
    assert [event.tags for event in FIVE_DAYS.hour(hour)] == [event.tags for event in FIVE_DAYS.hour(hour)]


def test_agents_work_in_sessions_with_retries(sample: list[RecordSent]) -> None:
    sessions: dict[str, list[RecordSent]] = {}
    for event in sorted(sample, key=lambda event: event.created_at):
        if event.session_id and event.type == "request":
            sessions.setdefault(event.session_id, []).append(event)
    assert len(sessions) > 30
    assert any(events[0].user == DEMO_USER_EMAIL for events in sessions.values())
    for events in sessions.values():
        assert len(events) <= 40 and len({(event.token, event.model, event.tags) for event in events}) == 1
        assert events[-1].created_at - events[0].created_at < HOUR
    long = [events for events in sessions.values() if len(events) > 20]
    grown = [events for events in long if events[-1].input_tokens > events[0].input_tokens]
    assert len(grown) > 0.8 * len(long) > 0, "each call has what was said before"
    again = [
        events
        for events in sessions.values()
        if any(one.status == "error" and other.status == "success" for one, other in pairwise(events))
    ]
    assert len(again) > 5, "what failed is tried again"


def test_some_calls_are_answered_by_another_model(sample: list[RecordSent]) -> None:
    other = [event for event in sample if event.answered_model]
    assert 0 < len(other) < 0.01 * len(sample)
    assert all(is_another(event.model, event.answered_model or "") for event in other)
