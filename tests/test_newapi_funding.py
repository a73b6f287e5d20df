"""What new-api and its kin tell of what paid for a call, and of tokens that they counted themselves."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from logs.models import ImportPosition, UsageRecord
from logs.pricing.funding import Funding, funding_of
from routescope.newapi import usage
from tests.newapi_installation import CALL, FAILED, RATIOS, Installation, installation
from tests.test_newapi_rows import Kin, laisky

__all__ = ["installation", "laisky"]


def logged(installation: Installation, **other: Any) -> UsageRecord:
    installation.log(**{**CALL, "other": json.dumps({**RATIOS, **other})}, request_id="r")
    installation.imported()
    return UsageRecord.objects.get()


SUBSCRIPTION = {
    "billing_source": "subscription", "billing_preference": "subscription_first", "subscription_id": 3,
    "subscription_pre_consumed": 500, "subscription_post_delta": 250, "subscription_consumed": 750,
    "subscription_total": 5_000_000, "subscription_used": 1_000_750, "subscription_remain": 3_999_250,
    "wallet_quota_deducted": 0,
}  # fmt: skip


def test_new_api_tells_which_source_paid(installation: Installation) -> None:
    assert funding_of(logged(installation, billing_source="wallet").billing) == Funding("wallet")


def test_new_api_tells_what_a_subscription_held_and_holds(installation: Installation) -> None:
    record = logged(installation, **SUBSCRIPTION)
    found = funding_of(record.billing)
    assert found == Funding("subscription", Decimal(8), Decimal("7.9985"))
    assert found.before is not None and record.cost == found.before - (found.after or 0)


def test_a_subscription_that_was_overdrawn_held_what_it_held(installation: Installation) -> None:
    other = {**SUBSCRIPTION, "subscription_used": 5_000_500, "subscription_remain": 0}
    assert funding_of(logged(installation, **other).billing) == Funding(
        "subscription", Decimal("0.0005"), Decimal(0)
    )


def test_a_call_that_took_nothing_leaves_what_there_was(installation: Installation) -> None:
    other = {name: value for name, value in SUBSCRIPTION.items() if name != "subscription_consumed"}
    record = logged(
        installation, **{**other, "subscription_used": 1_000_000, "subscription_remain": 4_000_000}
    )
    assert funding_of(record.billing) == Funding("subscription", Decimal(8), Decimal(8))


def test_a_subscription_without_a_bound_holds_nothing_that_is_told(installation: Installation) -> None:
    other = {name: value for name, value in SUBSCRIPTION.items() if name != "subscription_remain"}
    del other["subscription_total"]
    assert funding_of(logged(installation, **other).billing) == Funding("subscription")


@pytest.mark.parametrize(
    ("other", "found", "left_out"),
    [
        ({"billing_source": {"a": 1}}, Funding(), None),
        ({"billing_source": "b" * 61}, Funding(), ["other.funding_source"]),
        (
            {"billing_source": "subscription", "subscription_remain": 2**62},
            Funding("subscription"),
            ["other.balance_after"],
        ),
        ({"subscription_remain": -(2**80), "billing_source": "wallet"}, Funding("wallet"), None),
        ({"subscription_remain": "much", "billing_source": "wallet"}, Funding("wallet"), None),
        ({"subscription_remain": 1, "billing_source": ""}, Funding(after=Decimal("0.000002")), None),
    ],
)
def test_odd_funding_costs_no_row(
    installation: Installation, other: dict[str, Any], found: Funding, left_out: list[str] | None
) -> None:
    record = logged(installation, **other)
    assert (record.cost, funding_of(record.billing)) == (Decimal("0.0015"), found)
    if left_out:
        assert (record.metadata or {})["left_out"] == left_out


@pytest.mark.parametrize(
    ("other", "estimated"),
    [
        ({}, None),
        ({"admin_info": {"local_count_tokens": True}}, True),
        ({"admin_info": {"local_count_tokens": False}}, None),
        ({"admin_info": {"usage_billing_path": "local"}}, True),
        ({"admin_info": {"usage_billing_path": "billing-usage-gemini-estimated"}}, True),
        ({"admin_info": {"usage_billing_path": "upstream"}}, None),
        # It counted as the stream came, and then was told.
        ({"admin_info": {"usage_billing_path": "billing-usage-anthropic", "local_count_tokens": True}}, None),
        ({"usage_estimated": True}, True),
        ({"usage_estimated": False, "admin_info": {"local_count_tokens": True}}, None),
        ({"admin_info": "hidden"}, None),
        ({"usage_estimated": "perhaps", "admin_info": {"local_count_tokens": True}}, True),
    ],
)
def test_new_api_tells_whether_it_counted_itself(
    installation: Installation, other: dict[str, Any], estimated: bool | None
) -> None:
    assert logged(installation, **other).usage_estimated is estimated


def test_new_api_says_in_words_that_upstream_told_no_usage(installation: Installation) -> None:
    installation.log(**{**CALL, "content": "模型倍率 1, 上游无计费信息"}, request_id="r")
    installation.imported()
    assert UsageRecord.objects.get().usage_estimated is True


@pytest.mark.parametrize("slice_size", [1, 100])
@pytest.mark.parametrize("charge_first", [True, False])
def test_what_a_charge_says_stays_whichever_row_comes_first(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, slice_size: int, charge_first: bool
) -> None:
    monkeypatch.setattr(usage, "SLICE", slice_size)
    other = {**RATIOS, **SUBSCRIPTION, "admin_info": {"local_count_tokens": True}}
    rows = [{**FAILED}, {**CALL, "other": json.dumps(other)}]
    for row in reversed(rows) if charge_first else rows:
        installation.log(**row, request_id="r")
    for _ in range(2):
        installation.imported()
        ImportPosition.objects.update(last_id=0)
    record = UsageRecord.objects.get()
    assert record.usage_estimated is True and len(record.attempts or ()) == 2
    assert funding_of(record.billing).after == Decimal("7.9985")


@pytest.mark.django_db
def test_laisky_tells_that_it_charged_an_estimate(laisky: Kin) -> None:
    laisky.log(quota=9, prompt_tokens=4, request_id="a", metadata=json.dumps({"estimated_charge": True}))
    laisky.log(quota=9, prompt_tokens=4, request_id="b")
    laisky.imported()
    found = dict(UsageRecord.objects.values_list("request_id", "usage_estimated"))
    assert found == {"a": True, "b": None}
