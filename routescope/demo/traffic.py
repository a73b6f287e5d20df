"""The demo gateway's traffic as a function of time: one hour in, that hour's records out, always the same."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import datetime, timedelta

from routescope.data.ranges import HOUR
from routescope.demo import DEMO_USER_EMAIL, failures, funding
from routescope.demo.calls import Caller
from routescope.demo.cast import PRODUCTION, Workload
from routescope.demo.records import RecordSent
from routescope.demo.rhythm import BURST_MEAN, arrivals, burst, sessions
from routescope.demo.workloads import WORKLOADS

_TOKENS = {(workload.token.user, workload.token.name): workload.token for workload in WORKLOADS}
CALLS_PER_DAY = sum(
    workload.per_day + workload.bursts * workload.burst_size * BURST_MEAN
    for workload in WORKLOADS
    if workload.career.share(timedelta())
)
"""How many calls a day at the end of the history, and later, brings at scale 1."""
_ADJUSTMENTS = (
    (timedelta(minutes=31), "-2.5", "Welcome credit"),
    (timedelta(days=2, hours=22), "-5", "Credit for the interruption of service"),
    (timedelta(days=41, hours=3), "1.254", "Correction of one hour's group ratio"),
)
"""How long before the end of the history, how much in USD, and why."""


class Traffic:
    """All calls to the demo gateway from ``begin`` on. ``end`` is when its history becomes the present.

    ``scale`` multiplies every rate. Streams with different names share no record. The records of an hour
    depend on ``end``, ``scale`` and name alone: hours can be made again, in any order, and are duplicates.
    """

    def __init__(self, begin: datetime, end: datetime, scale: float, name: str = "history") -> None:
        self.begin, self.end, self.scale, self.name = begin, end, scale, name
        self._callers = [(workload, Caller(workload)) for workload in WORKLOADS]

    def expected(self, hour: datetime) -> float:
        """Return how many calls the UTC hour that starts at ``hour`` brings on average."""
        return self.scale * sum(
            calls + bursts * workload.burst_size * BURST_MEAN
            for workload in WORKLOADS
            for calls, bursts in [_expected(workload, hour, self.end - hour)]
        )

    def hour(self, hour: datetime) -> list[RecordSent]:
        """Return the records of the UTC hour that starts at ``hour``, in order of their time.

        A refund is made with the call it gives back, and so may lie ``REFUNDED_WITHIN`` after the hour.
        """
        if hour < self.begin:
            return []
        rng = random.Random(f"{self.name}/{hour:%Y-%m-%dT%H}")  # noqa: S311 - a demo, not a secret
        age = self.end - hour
        events: list[RecordSent] = []
        for workload, caller in self._callers:
            calls, bursts = _expected(workload, hour, age)
            if workload.sessions:
                for times in sessions(rng, hour, calls * self.scale, workload.sessions):
                    events += (_fate(rng, workload, event) for event in caller.session(rng, times))
                continue
            times = arrivals(rng, hour, calls * self.scale, bursts * self.scale, workload.burst_size)
            for spike in workload.spikes:
                if age - HOUR < spike <= age:
                    times += burst(rng, self.end - spike, _spike_size(workload))
            events += (_fate(rng, workload, caller.call(rng, moment)) for moment in times)
        events.sort(key=_time)
        self._strike(rng, events, age)
        _limit(events)
        funding.tell(events)
        events += [refund for event in events if (refund := failures.refund(rng, event))]
        events.sort(key=_time)
        return events

    def _strike(self, rng: random.Random, events: list[RecordSent], age: timedelta) -> None:
        """Let the incidents of the hour that began ``age`` before the end fail the calls in their way."""
        for incident in failures.INCIDENTS:
            if incident.before <= age - HOUR or incident.before - incident.length > age:
                continue
            for event in events:
                met = event.status == "success" and incident.strikes(event, self.end - event.created_at)
                if met and rng.random() < incident.share:
                    failures.spoil(rng, event, incident.cause)


def _fate(rng: random.Random, workload: Workload, event: RecordSent) -> RecordSent:
    """Let a call fail, or succeed at the second try, as often as its workload's do."""
    if (chance := rng.random()) < workload.failing:
        failures.spoil(rng, event, failures.usual_cause(rng))
    elif chance > 1 - workload.retried:
        failures.retry(rng, event)
        # Of every other model that is too busy, another one answers.
        if chance > 1 - workload.retried / 2:
            event.answered_model = workload.falls_back.get(event.model)
    return event


def _expected(workload: Workload, hour: datetime, age: timedelta) -> tuple[float, float]:
    """Return how many calls outside bursts, and how many bursts, an hour is expected to bring."""
    weight = workload.rhythm.weight(hour + timedelta(hours=workload.utc_offset)) * workload.career.share(age)
    return weight * workload.per_day / 24, weight * workload.bursts / 24


def _spike_size(workload: Workload) -> int:
    """Return how many calls a spike brings, at any scale: it is there to go over a limit."""
    return workload.burst_size * 3 // 2


def scale_for(records: int, begin: datetime, end: datetime) -> float:
    """Return the scale at which the hours from ``begin`` to ``end`` are expected to hold so many records.

    Spikes are of no scale; where they alone are nearly as many, the rest is a tenth.
    """
    traffic = Traffic(begin, end, scale=1.0)
    total, hour = 0.0, begin
    while hour < end:
        total += traffic.expected(hour)
        hour += HOUR
    spikes = sum(_spike_size(one) for one in WORKLOADS for spike in one.spikes if spike <= end - begin)
    return max(records - spikes, records / 10) / total


def adjustments(end: datetime) -> list[RecordSent]:
    """Return what the operator booked by hand on the demo user's account."""
    return [_adjustment(end - age, amount, reason) for age, amount, reason in _ADJUSTMENTS]


def _adjustment(at: datetime, amount: str, reason: str) -> RecordSent:
    return RecordSent(
        request_id=f"adj_{at:%Y%m%dT%H%M%S}",
        created_at=at,
        type="adjustment",
        user=DEMO_USER_EMAIL,
        token=PRODUCTION.name,
        group=PRODUCTION.group.name,
        cost=amount,
        billing={"currency": "USD", "reason": reason},
    )


def ended(event: RecordSent) -> datetime:
    """Return when the gateway knows the whole record: after the call's duration."""
    return event.created_at + timedelta(milliseconds=event.duration_ms or 0)


def _time(event: RecordSent) -> datetime:
    return event.created_at


def _limit(events: list[RecordSent]) -> None:
    """Refuse what goes over a token's limits: the gateway counts calls and tokens by the minute."""
    requests: dict[tuple[str, str, datetime], int] = defaultdict(int)
    tokens: dict[tuple[str, str, datetime], int] = defaultdict(int)
    for event in events:
        token = _TOKENS[event.user, event.token]
        minute = (token.user, token.name, event.created_at.replace(second=0, microsecond=0))
        requests[minute] += 1
        if token.rpm is not None and requests[minute] > token.rpm:
            failures.refuse(event, f"{token.rpm} requests per minute")
        elif token.tpm is not None and tokens[minute] + event.input_tokens > token.tpm:
            failures.refuse(event, f"{token.tpm:,} tokens per minute")
        else:
            tokens[minute] += event.input_tokens + event.output_tokens
