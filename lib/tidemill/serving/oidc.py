"""Callers who come with a token of an OpenID Connect issuer: a signed JWT, held against the issuer's public keys.

OpenID Connect Discovery 1.0 says where the keys lie, RFC 7517 how they look, RFC 8725 what a verifier must not believe:
the algorithm that a token names, a token for somebody else, one without an end.
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import jwt
import requests

from tidemill.serving.refusals import refused

if TYPE_CHECKING:
    from tidemill.core.service_config import Oidc

# Of public keys only: what a secret signs, everybody who verifies could have signed.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_CLAIMS = ("iss", "aud", "sub", "exp")
_LEEWAY = 30  # seconds by which clocks may differ
_PAUSE = 60.0  # seconds between two looks for keys: tokens that name unknown ones must not make us ask without end
_TIMEOUT = 3.0
_LARGEST = 1 << 20


class Tokens:
    """Tokens of one issuer. Safe to ask from several threads.

    Args:
        settings: the issuer, and whom its tokens have to be for.
    """

    def __init__(self, settings: Oidc) -> None:
        self._settings = settings
        self._keys: dict[str, jwt.PyJWK] = {}
        self._asked: float | None = None
        self._alone = threading.Lock()

    def caller(self, token: str) -> str:
        """The subject that a token is of; the issuer is asked where its key is not known yet.

        Raises:
            TidemillError: E_KEY (usage) where the token is not valid now, for us, and of the issuer; E_ISSUER (try
                again) where the issuer has to be asked and does not answer.
        """
        try:
            header = jwt.get_unverified_header(token)
            key = self._key(str(header.get("kid", "")))
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

    def _key(self, name: str) -> jwt.PyJWK | None:
        with self._alone:
            due = self._asked is None or time.monotonic() - self._asked >= _PAUSE
            if name not in self._keys and due:
                self._asked = time.monotonic()
                self._keys = self._fetch()
            return self._keys.get(name)

    def _fetch(self) -> dict[str, jwt.PyJWK]:
        issuer = self._settings.issuer
        try:
            found = jwt.PyJWKSet.from_dict(_read(_key_set_of(issuer))).keys
        except (requests.RequestException, ValueError, KeyError, TypeError, jwt.PyJWTError) as error:
            away = refused("E_ISSUER", "the issuer of tokens does not answer", "serve.oidc", "come back later")
            raise away from error
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
