"""The OpenID provider, asked: its metadata, tokens for a code, and what these say (OpenID Connect Core 1.0).

allauth's own client is not used for this. It trusts whatever issuer the metadata names, checks neither the
signature of a token that came by the code nor a nonce, and reads answers of any size for any time.
"""

from __future__ import annotations

import base64
import hmac
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote_plus, urlencode

import jwt

from routescope.config.oidc import OidcSettings
from routescope.wire import outbound
from routescope.wire.outbound import Answer, OutboundError
from routescope.wire.strict_json import JSONError

SECONDS = 10.0
"""All requests of one step together."""
_WAIT = 2.0
_MOST_BYTES = 512 * 1024
_SKEW = 60
"""Seconds that the provider's clock may be off."""
_LONGEST_SUBJECT = 191
"""Characters that allauth's table of identities has. The specification allows 255; nobody uses them."""
_ALGORITHMS = frozenset(
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
)
"""Signatures that only the provider makes. Those by a shared secret, and none at all, are refused."""

# A provider that hangs must not take every thread that pages are made in.
_at_once = threading.BoundedSemaphore(2)

Claims = Mapping[str, Any]


class IssuerError(Exception):
    """The provider cannot be asked now: away, too slow, or asked too much already."""


class IssuerAnswerError(Exception):
    """The provider answered, but with what cannot be believed; ``str()`` says why, without secrets."""


class Issuer:
    """One step of a sign-in: what is asked of the provider within one deadline."""

    def __init__(self, settings: OidcSettings) -> None:
        self.settings = settings
        self._ends = time.monotonic() + SECONDS
        self._metadata: Claims = {}

    @property
    def metadata(self) -> Claims:
        """The provider's metadata (OpenID Connect Discovery 1.0, section 4), asked once."""
        if not self._metadata:
            url = f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration"
            found = self._object(self._ask("GET", url), "metadata")
            if found.get("issuer") != self.settings.issuer:
                raise IssuerAnswerError(
                    f"The metadata names the issuer {found.get('issuer')!r}, not {self.settings.issuer!r}."
                )
            self._metadata = found
        return self._metadata

    def endpoint(self, name: str) -> str:
        """Return an endpoint's URL. Raises IssuerAnswerError where the metadata names none."""
        url = self.metadata.get(name)
        if not isinstance(url, str) or not url.startswith(("https://", "http://")):
            raise IssuerAnswerError(f"The metadata names no {name}.")
        return url

    def tokens(self, code: str, *, redirect_uri: str, code_verifier: str) -> Claims:
        """Return what the token endpoint gives for a code (RFC 6749, section 4.1.3, with RFC 7636)."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": code_verifier,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        methods = self.metadata.get("token_endpoint_auth_methods_supported")
        client_id, secret = self.settings.client_id, self.settings.client_secret.reveal()
        if not isinstance(methods, list) or "client_secret_basic" in methods:
            pair = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        else:
            form |= {"client_id": client_id, "client_secret": secret}
        answer = self._ask("POST", self.endpoint("token_endpoint"), headers, urlencode(form).encode())
        return self._object(answer, "token endpoint")

    def claims(self, tokens: Claims, *, nonce: str) -> Claims:
        """Return the claims of an ID token, made by this provider for us and this sign-in (3.1.3.7)."""
        token = tokens.get("id_token")
        if not isinstance(token, str):
            raise IssuerAnswerError("The token endpoint gave no ID token.")
        found = self._verified(token)
        audience = found["aud"]
        several = isinstance(audience, list) and len(audience) > 1
        if found.get("azp", None if several else self.settings.client_id) != self.settings.client_id:
            raise IssuerAnswerError("The ID token was made for another client.")
        if not hmac.compare_digest(str(found.get("nonce", "")).encode(), nonce.encode()):
            raise IssuerAnswerError("The ID token belongs to another sign-in: its nonce is not ours.")
        subject = found["sub"]
        if not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.isprintable():
            raise IssuerAnswerError("The subject of the ID token is empty, too long, or no text.")
        return found

    def user_info(self, tokens: Claims, *, subject: str) -> Claims:
        """Return what the UserInfo endpoint says of ``subject`` (section 5.3), if there is one."""
        access_token = tokens.get("access_token")
        if "userinfo_endpoint" not in self.metadata or not isinstance(access_token, str):
            return {}
        headers = {"Authorization": f"Bearer {access_token}"}
        answer = self._ask("GET", self.endpoint("userinfo_endpoint"), headers)
        found = self._object(answer, "UserInfo endpoint")
        if found.get("sub") != subject:
            raise IssuerAnswerError("The UserInfo endpoint speaks of another subject than the ID token.")
        return found

    def _verified(self, token: str) -> Claims:
        try:
            header = jwt.get_unverified_header(token)
            algorithm = header.get("alg")
            if algorithm not in _ALGORITHMS:
                raise IssuerAnswerError(f"The ID token is signed by {algorithm!r}, which is not taken.")
            found: Claims = jwt.decode(
                token,
                self._key(header.get("kid"), algorithm),
                algorithms=[algorithm],
                audience=self.settings.client_id,
                issuer=self.settings.issuer,
                leeway=_SKEW,
                options={"require": ["iss", "sub", "aud", "exp", "iat"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise IssuerAnswerError(f"The ID token does not hold: {error}.") from error
        return found

    def _key(self, kid: object, algorithm: str) -> jwt.PyJWK:
        """Return the provider's key of this name; of several without a name none is guessed."""
        published = self._object(self._ask("GET", self.endpoint("jwks_uri")), "key set").get("keys")
        fitting = []
        for one in published if isinstance(published, list) else ():
            if not isinstance(one, dict) or one.get("use", "sig") != "sig":
                continue
            if one.get("alg", algorithm) != algorithm or (kid is not None and one.get("kid") != kid):
                continue
            try:
                fitting.append(jwt.PyJWK(one, algorithm))
            except (jwt.PyJWTError, ValueError, TypeError):
                continue  # A kind of key that is not ours to use, beside others that are.
        if len(fitting) != 1:
            raise IssuerAnswerError(f"{len(fitting)} keys of the key set may have signed the ID token.")
        return fitting[0]

    def _ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        try:
            return outbound.request(
                method,
                url,
                headers=headers,
                body=body,
                timeout=max(0.0, self._ends - time.monotonic()),
                limit=_MOST_BYTES,
                # A redirected POST would take the client's secret along.
                redirects=0,
                trusted=frozenset({self.settings.host}),
            )
        except outbound.UnusableAnswerError as error:
            raise IssuerAnswerError(str(error)) from error
        except OutboundError as error:
            raise IssuerError(str(error)) from error

    def _object(self, answer: Answer, what: str) -> Claims:
        """Return an answer's JSON object. An error's code is told, but not its body: it may hold a token."""
        try:
            found = answer.json()
        except JSONError as error:
            found = None
            problem = f"not JSON: {error}"
        else:
            problem = "no JSON object"
        if answer.status >= 500:
            raise IssuerError(f"The {what} answers {answer.status}.")
        if answer.status != 200:
            code = found.get("error") if isinstance(found, dict) else None
            said = f": {code[:100]}" if isinstance(code, str) else ""
            raise IssuerAnswerError(f"The {what} answers {answer.status}{said}.")
        if not isinstance(found, dict):
            raise IssuerAnswerError(f"The {what} gives {problem}.")
        return found


@contextmanager
def asked(settings: OidcSettings) -> Iterator[Issuer]:
    """Give the provider for one step of a sign-in, of which each process takes two at a time.

    Raises IssuerError where both last longer than 2 s.
    """
    if not _at_once.acquire(timeout=_WAIT):
        raise IssuerError("Other sign-ins are waiting for the provider already.")
    try:
        yield Issuer(settings)
    finally:
        _at_once.release()
