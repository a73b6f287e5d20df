"""A real OpenID provider, `oidc-provider-mock`, in a process of its own, which can be told to lie.

It signs with a key of this module's, so that what it signs may be anything: `PUT /control` says what.
Run by itself (``python -m tests.oidc_provider``) it prints its port and serves until its input ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

JSON = {"Content-Type": "application/json"}


@dataclass
class Control:
    """How the provider differs from an honest one. A claim that is null is left out."""

    claims: dict[str, Any] = field(default_factory=dict)
    """In the ID token, in place of its own."""
    header: dict[str, Any] = field(default_factory=dict)
    signed: str = "own"
    """By whom: own, foreign (a key that is not published), none, or secret (HS256 with ``secret``)."""
    secret: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    user_info: dict[str, Any] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)
    """What a path answers instead."""
    seconds: dict[str, float] = field(default_factory=dict)
    """How long a path takes."""
    body: dict[str, str] = field(default_factory=dict)
    """What a path answers instead, with 200."""


class OpenIDProvider:
    """The provider from outside: people, clients, and a browser that says yes."""

    def __init__(self, port: int) -> None:
        self.url = f"http://localhost:{port}"

    def person(self, subject: str, **claims: Any) -> None:
        """Make somebody known under ``subject``, or change what is known of them."""
        self._ask("PUT", f"/users/{quote(subject)}", claims)

    def client(self, redirect_uri: str) -> tuple[str, str]:
        """Register the console; return its ID and secret."""
        made = json.loads(self._ask("POST", "/oauth2/clients", {"redirect_uris": [redirect_uri]}))
        return made["client_id"], made["client_secret"]

    def lie(self, **control: Any) -> None:
        """Differ from an honest provider from now on, in these points only."""
        self._ask("PUT", "/control", control)

    def asked(self) -> list[str]:
        """Return the paths that were asked for since the last lie."""
        found: list[str] = json.loads(self._ask("GET", "/control"))
        return found

    def authorize(self, url: str, subject: str) -> str:
        """Sign ``subject`` in at the provider's own form; return where it sends the browser."""
        body = urlencode({"sub": subject}).encode()
        try:
            build_opener(_Stay).open(Request(url, body), timeout=20)
        except HTTPError as answer:
            with answer:
                assert answer.code == 302, answer.read()
                return str(answer.headers["Location"])
        raise AssertionError("The provider did not send the browser back.")

    def _ask(self, method: str, path: str, body: object = None) -> str:
        sent = None if body is None else json.dumps(body).encode()
        request = Request(self.url + path, sent, JSON, method=method)
        with build_opener().open(request, timeout=20) as answer:
            return str(answer.read().decode())


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


@contextmanager
def running() -> Iterator[OpenIDProvider]:
    """Run a provider for as long as the block lasts."""
    command = [sys.executable, "-m", "tests.oidc_provider"]
    root = Path(__file__).resolve().parent.parent
    with subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout
        try:
            yield OpenIDProvider(int(server.stdout.readline()))
        finally:
            assert server.stdin
            server.stdin.close()
            server.wait(20)


# --- The server --------------------------------------------------------------------------------------------


def main() -> None:
    import flask
    import jwt
    import oidc_provider_mock
    from cryptography.hazmat.primitives.asymmetric import rsa
    from jwt.algorithms import RSAAlgorithm
    from werkzeug.serving import make_server

    own, foreign = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    control = Control()
    asked: list[str] = []
    app = oidc_provider_mock.app(require_client_registration=True, require_nonce=True)

    def put_control() -> str:
        nonlocal control
        control = Control(**flask.request.get_json())
        asked.clear()
        return ""

    def get_control() -> Any:
        return flask.jsonify(asked)

    def differ() -> Any:
        path = flask.request.path
        if path != "/control":
            asked.append(path)
        time.sleep(control.seconds.get(path, 0))
        if path in control.status:
            location = {"Location": "/elsewhere"} if control.status[path] // 100 == 3 else {}
            return "Out of order", control.status[path], location
        if path in control.body:
            return control.body[path], 200, JSON
        return None

    def signed(token: str) -> str:
        claims = jwt.decode(token, options={"verify_signature": False})
        claims = {name: value for name, value in (claims | control.claims).items() if value is not None}
        key: Any = {"own": own, "foreign": foreign, "none": None, "secret": control.secret}[control.signed]
        algorithm = {"none": "none", "secret": "HS256"}.get(control.signed, "RS256")
        header = {
            name: value for name, value in {"kid": "own", **control.header}.items() if value is not None
        }
        return jwt.encode(claims, key, algorithm, headers=header)

    def tell(answer: Any) -> Any:
        path, state = flask.request.path, flask.request.args.get("state")
        if path == "/oauth2/authorize" and answer.status_code == 302 and "state=" not in answer.location:
            # RFC 6749, section 4.1.2.1, wants it in a refusal too; the mock leaves it out.
            answer.location += f"&state={state}"
        if answer.status_code != 200 or path in control.body:
            return answer
        if path == "/jwks":
            public = json.loads(RSAAlgorithm.to_jwk(own.public_key()))
            answer.set_data(json.dumps({"keys": [{**public, "kid": "own", "use": "sig", "alg": "RS256"}]}))
        elif path == "/oauth2/token":
            found = answer.get_json()
            answer.set_data(json.dumps({**found, "id_token": signed(found["id_token"])}))
        elif path == "/userinfo":
            answer.set_data(json.dumps({**answer.get_json(), **control.user_info}))
        elif path == "/.well-known/openid-configuration":
            answer.set_data(json.dumps({**answer.get_json(), **control.metadata}))
        return answer

    app.add_url_rule("/control", view_func=put_control, methods=["PUT"])
    app.add_url_rule("/control", view_func=get_control, methods=["GET"])
    app.before_request(differ)
    app.after_request(tell)
    server = make_server("localhost", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()


def path_of(url: str) -> str:
    """Return the part of a URL behind its host, as Django's client asks for it."""
    return urlsplit(url)._replace(scheme="", netloc="").geturl()


if __name__ == "__main__":
    main()
