"""The verdict on a failed call: right on real error bodies, with what speaks for it."""

from __future__ import annotations

from collections import Counter

import pytest

from logs.causes.judging import Verdict, judge, verdict
from logs.models import Cause, Status
from logs.models.events import Failure, UsageEvent
from routescope.causes.rules import RULES, UNKNOWN
from routescope.data.ids import EPOCH
from tasks.outcomes import causes as of_tasks
from tests.error_bodies import BODIES, Sent
from tests.error_bodies_further import FURTHER, TASKS

_ALL = [*BODIES, *FURTHER]
_KNOWN = [sent for sent in _ALL if sent.cause is not Cause.UNKNOWN]


def _name(sent: Sent) -> str:
    return f"{sent.by}-{sent.status}-{sent.cause.name}"


@pytest.mark.parametrize("sent", _ALL, ids=_name)
def test_the_cause_of_a_real_error_body_is_right(sent: Sent) -> None:
    found = verdict(sent.failure, sent.status)
    assert found.cause is sent.cause, f"{found.rule.key}: {found.evidence}"


@pytest.mark.parametrize("sent", _KNOWN, ids=_name)
def test_evidence_is_a_value_that_was_sent(sent: Sent) -> None:
    found = verdict(sent.failure, sent.status)
    assert found.evidence is not None
    value = found.evidence.value.strip("…")
    if found.evidence.field == "http_status":
        assert value in f"{sent.status} {sent.failure}"
    else:
        assert value in (getattr(sent.failure, found.evidence.field) or "")
    assert str(found.next_step)


def test_there_are_at_least_sixty_bodies_and_every_cause_is_among_them() -> None:
    assert len(BODIES) >= 60
    assert {sent.cause for sent in BODIES} == set(Cause) - {Cause.NONE}


def test_a_body_that_a_gateway_puts_into_the_message_as_text_is_judged_alike() -> None:
    text = '{"error": {"message": "Out of money", "type": "x", "code": "insufficient_quota"}}'
    assert verdict(Failure(message=text), 429).cause is Cause.BALANCE


def test_words_say_more_than_the_status() -> None:
    assert verdict(Failure(code="insufficient_quota"), 429).cause is Cause.BALANCE
    assert verdict(None, 429).cause is Cause.RATE_LIMIT


def test_a_parameter_called_timeout_is_no_timeout() -> None:
    assert verdict(Failure(message="timeout must be between 1 and 600"), 400).cause is Cause.PARAMETERS


def test_a_call_that_succeeded_has_no_cause() -> None:
    event = UsageEvent(
        request_id="a", created_at=EPOCH, status=Status.SUCCESS, error=Failure(code="invalid_api_key")
    )
    assert judge(event) is Cause.NONE


def test_rules_have_keys_of_their_own_and_each_says_what_to_do() -> None:
    assert len({rule.key for rule in RULES}) == len(RULES)
    for rule in (*RULES, UNKNOWN):
        assert str(Verdict(rule, None).next_step)
        assert Verdict(rule, None).cause in Cause


def test_no_code_means_two_causes() -> None:
    assert all(count == 1 for count in Counter(code for rule in RULES for code in rule.codes).values())


@pytest.mark.parametrize(("code", "message", "right"), TASKS)
def test_the_cause_of_a_failed_task_is_judged_by_the_same_rules(code: str, message: str, right: str) -> None:
    cause, evidence = of_tasks.judge("failed", code, message, "")
    assert cause == right
    assert evidence.strip("…") in (code or message)
