"""Whoever asks, of whatever address: no answer holds what lies beyond the scope, and no look goes unkept.

Leads, members of two teams, people who left, staff with few rights and plain people ask random addresses
of every kind. Each record and task has words of its own that nothing else has; plain Python says which of
them an answer may hold. ``STRANGER_TRIES=20000`` asks so often (default: 150), by the seed of the order.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from accounts.exports import exporting
from accounts.models import AuditEntry, Export, Gateway
from tests.strangers import World, a_world

TRIES = int(os.environ.get("STRANGER_TRIES", "150"))
_WORD = re.compile(r"(rq|mo|er|co|ta|tm|tc|tg)(\d{3})zq")
_CONTENT = {"co", "tc"}


@pytest.fixture
def world(gateway: Gateway) -> World:
    return a_world(gateway)


@dataclass
class Asked:
    """A random question: who, as what client, which address, and of whose rows."""

    who: str
    url: str
    of: str = ""
    tasks: bool = False
    method: str = "get"
    body: dict[str, str] | None = None
    by_key: bool = False
    admin: bool = False
    fragment: bool = False


def _scopes(world: World, rng: random.Random, who: str, *, tasks: bool) -> str:
    """Return a scope: one that the person has more often than not."""
    if rng.random() < 0.6:
        asker = world.people[who]
        own = ["", "everyone", *(f"team:{team.pk}" for team in world.teams.values())]
        own += [f"person:{rng.choice(list(world.people.values())).pk}"]
        return rng.choice([of for of in own if world.held(asker, of, tasks=tasks) is not None])
    person = rng.choice(list(world.people.values()))
    team = rng.choice(list(world.teams.values()))
    kinds = [
        "",
        "",
        "everyone",
        f"person:{person.pk}",
        f"as:{person.pk}",
        f"team:{team.pk}",
        f"team:{team.pk}",
    ]
    kinds += ["team:0", "person:x", "mine", "everyone "]
    return rng.choice(kinds)


def _filters(world: World, rng: random.Random, *, tasks: bool) -> dict[str, str]:
    row = rng.choice(world.of(tasks=tasks))
    day = timezone.now() - timedelta(days=rng.choice((1, 3, 9)))
    offered: list[dict[str, str]] = [
        {"range": rng.choice(("24h", "7d", "30d", "all"))},
        {"range": "custom", "start": day.isoformat(), "end": timezone.now().isoformat()},
        {"model": f"{'tm' if tasks else 'mo'}{row.number:03}zq"},
        {"person": str(row.owner.pk)},
        {"token": f"key-{row.owner.name}"},
        {"older": row.pk} if rng.random() < 0.5 else {"newer": row.pk},
        {"task_id" if tasks else "request_id": f"{'ta' if tasks else 'rq'}{row.number:03}zq"},
        {"status": rng.choice(("failed", "succeeded") if tasks else ("error", "success"))},
    ]
    if not tasks:
        offered += [{"compare": rng.choice(("model", "token", "person", "cause", "day", "tag"))}]
        offered += [{"compare": "meta", "key": "job"}, {"answered": "other"}, {"sessions": "on"}]
        offered += [{"session": f"tg{row.number:03}zq"}]
        tag = rng.choice((f"tg{row.number:03}zq", "common"))
        offered += [{rng.choice(("tag", "tag_not")): tag}, {rng.choice(("has", "has_not")): "job"}]
        offered += [{rng.choice(("meta", "meta_not")): f"job=tg{row.number:03}zq"}]
        offered += [{"errors": rng.choice(("each", "kinds"))}, {"sort": "-cost"}, {"order": "cost"}]
        offered += [{"min_tokens": "1"}, {"min_cost": "0"}]
    else:
        offered += [{"order": "attention"}, {"type": "video"}]
    found: dict[str, str] = {"range": "30d"} if rng.random() < 0.6 else {}
    for one in rng.sample(offered, rng.randrange(3)):
        found |= one
    return found


def ask(world: World, rng: random.Random) -> Asked:
    """Return a random question of any kind."""
    who, tasks = rng.choice(list(world.people)), rng.random() < 0.4
    row = rng.choice(world.of(tasks=tasks))
    of = _scopes(world, rng, who, tasks=tasks)
    base = "/records/tasks/" if tasks else "/records/usage/"
    query = {**_filters(world, rng, tasks=tasks), **({"of": of} if of else {})}
    one = {k: v for k, v in query.items() if k == "of"}
    kind = rng.random()
    if kind < 0.3:
        places = ["", "results/", "counts/", "live/"] if tasks else ["", "results/", "chart/", "news/"]
        places += (
            [] if tasks else ["further/", "limits/", "counts/", "values/", "session/", "session/details/"]
        )
        place = rng.choice(places)
        more = {
            "counts/": {"menu": rng.choice(("model", "token", "person", "status"))},
            "live/": {"id": row.pk},
            "values/": {"q": f"tg{row.number:03}zq"[: rng.choice((1, 4, 5, 7))]},
        }
        extra = more.get(place, {"token": f"key-{row.owner.name}"} if place == "limits/" else {})
        if place.startswith("session/"):
            extra = {"session": f"tg{row.number:03}zq"}
        if place == "values/":
            return Asked(who, f"{base}values/" + (f"?of={of}" if of else ""), of, tasks, "post", extra)
        return Asked(who, base + place, of, tasks, body={**query, **extra}, fragment=place == "results/")
    if kind < 0.55:
        places = ["", "row/", "details/", "media/"] if tasks else ["", "details/", "reprice/"]
        return Asked(who, f"{base}{row.pk}/{rng.choice(places)}", of, tasks, body=one)
    if kind < 0.67:
        address = f"{base}{row.pk}/content/" + (f"?of={of}" if of else "")
        return Asked(who, address, of, tasks, "post", {}, fragment=rng.random() < 0.5)
    if kind < 0.73:
        link = f"/t/ta{row.number:03}zq" if tasks else f"/r/rq{row.number:03}zq"
        return Asked(who, link, of, tasks, body=one)
    if kind < 0.88:
        places = [f"/{row.pk}", "", "", "/statistics", "/breakdown", "/series"]
        if tasks:
            places = [f"/{row.pk}", f"/ta{row.number:03}zq", "", ""]
        left_out = ("compare", "key", "errors", "sort", "order", "status")
        kept = {k: v for k, v in query.items() if k not in left_out}
        place = rng.choice(places)
        if place == "/breakdown":
            kept["by"] = rng.choice(("model", "token", "cause", "day", "tag", "meta"))
            kept |= {"key": "job"} if kept["by"] == "meta" else {}
        return Asked(
            who, f"/api/v1/{'tasks' if tasks else 'usage'}{place}", of, tasks, body=kept, by_key=True
        )
    where = "/admin/tasks/asynctask/" if tasks else "/admin/logs/usagerecord/"
    places = ["", f"?user={row.owner.pk}", f"{row.pk}/change/", f"{row.pk}/content/"]
    place = rng.choice(places)
    method = "post" if place.endswith("content/") and rng.random() < 0.7 else "get"
    return Asked(who, where + place, "", tasks, method, {}, admin=True)


def allowed(world: World, asked: Asked) -> set[tuple[str, int]] | None:
    """Return the words that an answer may hold, without others' content; None: it must hold none."""
    person = world.people[asked.who]
    own = {
        (kind, row.number)
        for row in world.rows.values()
        if row.owner == person and row.is_task == asked.tasks
        for kind in (("ta", "tm", "tc") if row.is_task else ("rq", "mo", "er", "co", "tg"))
    }
    if asked.admin:
        if not world.sees_all(person, tasks=asked.tasks):
            return None
        # Whoever sees an admin's list sees everybody's; links between the two are rights of their own.
        held: set[int] | None = {row.number for row in world.of(tasks=asked.tasks)}
        is_quoted = True
    else:
        held = world.held(person, asked.of, tasks=asked.tasks)
        is_quoted = not asked.of.startswith("team:") or world.sees_all(person, tasks=asked.tasks)
    if held is None:
        return None
    words = {(kind, one) for one in held for kind in (("ta", "tm") if asked.tasks else ("rq", "mo"))}
    if is_quoted:
        words |= {(kind, one) for one in held for kind in ("er", "tg")}
    if asked.of == "everyone":
        # The menu of everybody's calls offers every model there is: a model is nobody's.
        words |= {("tm", row.number) for row in world.of(tasks=True)}
    if asked.of.startswith("team:") and world.sees_all(person, tasks=False):
        # And whoever sees everybody's is offered everybody's tags, of a team as of all.
        words |= {("tg", row.number) for row in world.of(tasks=False)}
    return words | {word for word in own if word[1] in held}


def answer(world: World, asked: Asked) -> tuple[int, str]:
    client = (world.readers if asked.by_key else world.clients)[asked.who]
    headers = {"HX-Request": "true"} if asked.fragment else {}
    send: Callable[..., object] = client.post if asked.method == "post" else client.get
    response = send(asked.url, asked.body or {}, headers=headers)
    code = int(response.status_code)  # type: ignore[attr-defined]
    body = b"".join(response.streaming_content) if response.streaming else response.content  # type: ignore[attr-defined]
    return code, f"{response.headers} {body.decode(errors='replace')}"  # type: ignore[attr-defined]


@pytest.mark.django_db
def test_no_answer_holds_what_lies_beyond_the_scope(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setattr(settings, "READ_API_REQUESTS_PER_MINUTE", 10**6)
    rng = random.Random(random.random())
    for name in ("reader", "root"):
        for person in world.people.values():
            world.clients[name].post(reverse("see-as", args=[person.pk]))
    shown = seen = looks = 0
    for _ in range(TRIES):
        asked = ask(world, rng)
        before = AuditEntry.objects.filter(act=AuditEntry.Act.CONTENT).count()
        code, text = answer(world, asked)
        assert code < 500, asked
        words = {(kind, int(number)) for kind, number in _WORD.findall(text)}
        typed = {(k, int(n)) for k, n in _WORD.findall(f"{asked.url} {asked.body}")}
        may = allowed(world, asked)
        person = world.people[asked.who]
        theirs = {w for w in words if w[0] in _CONTENT and world.rows[w[1]].owner != person}
        beyond = words - theirs - typed - (may or set())
        assert not beyond, (asked, code, sorted(beyond)[:5])
        if theirs:
            looks += 1
            assert asked.method == "post" and may is not None and person.has_perm("logs.view_usagecontent"), (
                asked
            )
            entries = AuditEntry.objects.filter(act=AuditEntry.Act.CONTENT).order_by("-pk")
            assert entries.count() == before + 1, asked
            [number] = {number for _, number in theirs}
            assert (entries[0].actor, entries[0].subject) == (person, world.rows[number].owner), asked
        if may is None and not asked.admin:
            assert code in (302, 400, 403, 404, 405), (asked, code)
        shown += bool(words - typed)
        seen += code == 200
    # It did ask what has answers.
    assert shown > TRIES // 6 and seen > TRIES // 5 and (looks or TRIES < 500)


@pytest.mark.django_db
def test_no_export_holds_what_lies_beyond_the_scope(world: World) -> None:
    rng = random.Random(random.random())
    people = world.people
    scopes = ["", "everyone", *(f"team:{team.pk}" for team in world.teams.values())]
    scopes += [f"person:{people['plain'].pk}", f"as:{people['plain'].pk}"]
    every = [(who, of, tasks) for who in people for of in scopes for tasks in (False, True)]
    exported = 0
    for who, of, tasks in every if TRIES > 1_000 else rng.sample(every, 40):
        person = people[who]
        held = world.held(person, of, tasks=tasks) if not of.startswith("as:") else None
        query = f"source={'tasks' if tasks else 'usage'}&range=all" + (f"&of={of}" if of else "")
        form = world.clients[who].get(f"/exports/new/?{query}")
        if held is None:
            assert form.status_code in (302, 404), (who, of)
            continue
        columns = re.findall(r'name="columns" value="(\w+)"', form.content.decode())
        assert columns
        body = {"format": "jsonl", "columns": columns}
        assert world.clients[who].post(f"/exports/new/?{query}", body).status_code == 302
        export = Export.objects.filter(user=person).latest("pk")
        assert exporting.run(export.pk)
        export.refresh_from_db()
        words = {(kind, int(number)) for kind, number in _WORD.findall(export.path.read_text())}
        assert not [w for w in words if w[0] in _CONTENT and world.rows[w[1]].owner != person]
        assert {number for _, number in words} == held, (who, of)
        is_quoted = not of.startswith("team:") or world.sees_all(person, tasks=tasks)
        assert is_quoted or not any(kind in ("er", "tg") for kind, _ in words)
        Export.objects.filter(pk=export.pk).delete()
        exported += 1
    assert exported > 3
