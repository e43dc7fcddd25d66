"""Callers who come with a token of an OpenID Connect issuer: a signed JWT, held against the issuer's public keys.

OpenID Connect Discovery 1.0 says where the keys lie, RFC 7517 how they look, RFC 8725 what a verifier must not believe:
the algorithm that a token names, a token for somebody else, one without an end.
"""

from __future__ import annotations

import asyncio
import json
import logging
from time import monotonic
from typing import TYPE_CHECKING, Any

import jwt
import requests

from tidemill.serving.refusals import refused

if TYPE_CHECKING:
    from tidemill.core.errors import TidemillError
    from tidemill.core.service_config import Oidc

# Of public keys only: what a secret signs, everybody who verifies could have signed.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_CLAIMS = ("iss", "aud", "sub", "exp")
_LEEWAY = 30  # seconds by which clocks may differ
# Seconds between two looks for keys, after one that was answered and after one that was not: tokens that name unknown
# keys must not make us ask without end.
_PAUSE, _AGAIN = 60.0, 5.0
_TIMEOUT = 3.0
_LARGEST = 1 << 20
LOG = logging.getLogger(__name__)


class Tokens:
    """Tokens of one issuer. All but the asking runs in the thread of the event loop.

    Args:
        settings: the issuer, and whom its tokens have to be for.
    """

    def __init__(self, settings: Oidc) -> None:
        self._settings = settings
        self._keys: dict[str, jwt.PyJWK] = {}
        self._due = monotonic()  # when the issuer may be asked next
        self._away = False  # whether it did not answer when it was asked last
        self._asking: asyncio.Task[None] | None = None

    async def caller(self, token: str) -> str:
        """The subject that a token is of; the issuer is asked where its key is not known yet.

        Raises:
            TidemillError: E_KEY (usage) where the token is not valid now, for us, and of the issuer; E_ISSUER (try
                again) where the issuer has to be asked and does not answer.
        """
        try:
            name = str(jwt.get_unverified_header(token).get("kid", ""))
            key = self._keys.get(name) or await self._find(name)
            if key is None:
                raise jwt.InvalidTokenError("its key is none of the issuer's")
            claims = jwt.decode(
                token,
                key,
                algorithms=list(_ALGORITHMS),
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=_LEEWAY,
                options={"require": list(_CLAIMS)},
            )
        except jwt.PyJWTError:
            # Not why: whoever sends tokens that are not valid is not to learn how they could be.
            raise refused("E_KEY", "the token is not valid", "header Authorization", "ask the issuer anew") from None
        return str(claims["sub"])

    async def _find(self, name: str) -> jwt.PyJWK | None:
        """A key that is not known: the issuer's answer decides, and without one nobody can say whose the token is."""
        asking = self._asking
        if asking is None and monotonic() >= self._due:
            asking = self._asking = asyncio.create_task(self._ask())
        elif self._away:
            # One caller waits for an issuer that did not answer the last time. Strangers' tokens, too, wait here: they
            # must not take all the places of requests that are worked on.
            raise _no_answer()
        if asking is not None:
            await asyncio.shield(asking)  # which others wait for, too
        if self._away:
            raise _no_answer()
        return self._keys.get(name)

    async def _ask(self) -> None:
        try:
            self._keys = await asyncio.to_thread(_fetch, self._settings.issuer)
        except (requests.RequestException, ValueError, LookupError, TypeError, AttributeError, jwt.PyJWTError):
            LOG.exception("the issuer of tokens does not answer; the keys that are known go on")
            self._away, self._due = True, monotonic() + _AGAIN
        else:
            self._away, self._due = False, monotonic() + _PAUSE
        finally:
            self._asking = None


def _no_answer() -> TidemillError:
    return refused("E_ISSUER", "the issuer of tokens does not answer", "serve.oidc", "come back later")


def _fetch(issuer: str) -> dict[str, jwt.PyJWK]:
    found = jwt.PyJWKSet.from_dict(_read(_key_set_of(issuer))).keys
    return {key.key_id: key for key in found if key.key_id is not None and key.public_key_use in {None, "sig"}}


def _key_set_of(issuer: str) -> str:
    described = _read(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if described["issuer"] != issuer:
        raise ValueError(f"it calls itself {described['issuer']!r}")
    return str(described["jwks_uri"])


def _read(address: str) -> dict[str, Any]:
    """A small JSON object; redirections are not followed."""
    with requests.get(address, timeout=_TIMEOUT, allow_redirects=False, stream=True) as answer:
        if answer.status_code != 200:
            raise ValueError(f"{address} answers {answer.status_code}")
        text = answer.raw.read(_LARGEST + 1, decode_content=True)
    if len(text) > _LARGEST:
        raise ValueError(f"{address} answers more than {_LARGEST} bytes")
    found: dict[str, Any] = json.loads(text)
    return found
