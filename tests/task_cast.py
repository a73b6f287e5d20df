"""The cast of the task tests: Alice owns, Bob is a stranger, and a gateway that sends."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from accounts.models import AIModel, ApiToken, Gateway, Group, IngestKey, User, UserIdentity
from routescope.data.ids import derived_id
from tasks.models import AsyncTask, ProviderCredential, TaskStatus, TaskType
from tasks.providers.catalogue import catalogue
from tasks.providers.key_binding import enter_key
from tests.moments import tasks as moments

_numbers = itertools.count(1)


def person(email: str = "alice@example.com") -> User:
    return User.objects.create_user(email, "a long password")


def gateway(name: str = "edge") -> Gateway:
    return Gateway.objects.create(name=name)


def known_as(sender: Gateway, user: User, name: str) -> None:
    UserIdentity.objects.create(gateway=sender, name=name, user=user)


def key(sender: Gateway) -> dict[str, str]:
    """Return the header that authenticates the gateway."""
    return {"Authorization": f"Bearer {IngestKey.issue(sender)[1]}"}


def a_task(user: User, sender: Gateway, **fields: Any) -> AsyncTask:
    """Store an open task of an hour ago, with the given fields. One made later was submitted later."""
    number = next(_numbers)
    if "submitted_at" not in fields:
        fields["submitted_at"] = moments.free(timezone.now() - timedelta(hours=1))
    submitted: datetime = fields.pop("submitted_at")
    task_id = fields.pop("task_id", f"task_{number:08}")
    moments.took(submitted, (sender.pk, task_id))
    values = {
        "platform": "runway",
        "provider_task_id": f"rw-{number}",
        "request_id": f"req_{number:08}",
        "type": TaskType.VIDEO,
        "status": TaskStatus.QUEUED,
        "deadline_at": submitted + timedelta(days=1),
        "next_poll_at": submitted,
        **fields,
    }
    task: AsyncTask = AsyncTask.objects.create(
        id=derived_id(submitted, sender.pk, task_id),
        submitted_at=submitted,
        user=user,
        gateway=sender,
        task_id=task_id,
        **values,
    )
    return task


def a_key(
    platform: str, api_key: str, *, base_url: str = "", gateway: Gateway | None = None
) -> ProviderCredential:
    """Store a provider's key as an admin enters it: bound to where it is sent now."""
    row = ProviderCredential(platform=platform, gateway=gateway, base_url=base_url)
    enter_key(row, api_key, catalogue().by_slug.get(platform))
    row.save()
    return row


def usd(text: str) -> Decimal:
    return Decimal(text)


def a_mixture(
    owner: User,
    stranger: User,
    sender: Gateway,
    count: int,
    chance: random.Random,
    said: Sequence[str] = ("",),
) -> list[AsyncTask]:
    """Store tasks of sixty days in every state, one in twenty of a stranger; return the owner's.

    ``said`` are the failure messages they may have.
    """
    tokens = [ApiToken.objects.create(owner=owner, name=name) for name in ("prod", "staging")]
    models = [AIModel.objects.create(name=name) for name in ("sora-2", "suno-v5")]
    groups = [Group.objects.create(name=name) for name in ("default", "vip")]
    made = [
        a_task(
            owner if number % 20 else stranger,
            sender,
            submitted_at=timezone.now() - timedelta(days=60 * chance.random() ** 3, milliseconds=number),
            status=chance.choice(list(TaskStatus)),
            type=chance.choice(list(TaskType)),
            platform=chance.choice(["runway", "suno"]),
            token=chance.choice([*tokens, None]),
            model=chance.choice([*models, None]),
            group=chance.choice([*groups, None]),
            failure_message=chance.choice(said),
        )
        for number in range(count)
    ]
    return [task for task in made if task.user_id == owner.pk]
