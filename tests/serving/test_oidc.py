"""Tokens of an issuer: let in where they are signed by it, for us and not over; nothing else is, whatever it says."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError
from tidemill.core.service_config import Oidc
from tidemill.serving import oidc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from running_service import Running, Serve

RSA, OTHER = (rsa.generate_private_key(65537, 2048) for _ in range(2))
EC = ec.generate_private_key(ec.SECP256R1())


class Issuer:
    """An issuer on this machine; what it says of itself and its keys can be changed."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status = 200
        self.free = threading.Event()  # where it is not set, it hangs
        self.free.set()
        self.keys: dict[str, Any] = {"r1": RSA, "e1": EC, "p1": OTHER}
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                issuer.free.wait(30)
                described = {"issuer": issuer.name, "jwks_uri": f"{issuer.name}/keys"}
                body = json.dumps(described if "well-known" in self.path else issuer.set).encode()
                self.send_response(issuer.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.name = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def set(self) -> dict[str, Any]:
        """The public keys as RFC 7517 has them."""
        found = []
        for name, key in self.keys.items():
            kind = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
            said = {"alg": "PS256"} if name == "p1" else {}
            found.append({**json.loads(kind.to_jwk(key.public_key())), "kid": name, "use": "sig", **said})
        return {"keys": found}

    def token(self, key: Any = RSA, algorithm: str = "RS256", kid: str = "r1", **changes: Any) -> str:
        """A token that lets in, but for the changes; a claim that is None is left out."""
        claims = {"iss": self.name, "aud": "scores", "sub": "shop", "exp": time.time() + 60, **changes}
        return jwt.encode({k: v for k, v in claims.items() if v is not None}, key, algorithm, headers={"kid": kid})


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    found = Issuer()
    yield found
    found.free.set()
    found.server.shutdown()
    found.server.server_close()


def ask(running: Running, token: str) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}".encode()}
    answer = running.client.post("/v1/shop/predict", json={"entities": [{"key": "ann"}]}, headers=headers)
    return answer.status_code, "" if answer.status_code == 200 else answer.json()["error"]["code"]


def start(serve: Serve, issuer: Issuer, **changes: Any) -> Running:
    return serve(oidc=Oidc(issuer=issuer.name, audience="scores"), **changes)


def test_tokens_of_the_issuer_let_in(serve: Serve, issuer: Issuer) -> None:
    running = start(serve, issuer)
    for token in (
        issuer.token(),
        issuer.token(EC, "ES256", "e1"),
        issuer.token(OTHER, "PS256", "p1"),
        issuer.token(aud=["other", "scores"]),
        issuer.token(exp=time.time() - 5),  # clocks differ
    ):
        assert ask(running, token) == (200, "")
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]


def test_nothing_else_does(serve: Serve, issuer: Issuer) -> None:
    running = start(serve, issuer)
    public = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    whole = issuer.token()
    head, claims, signature = whole.split(".")
    for token in (
        issuer.token(OTHER),
        issuer.token(OTHER, "RS256", "p1"),  # the key is for another algorithm
        issuer.token(RSA, "PS256"),
        issuer.token(OTHER, kid="never heard of"),
        issuer.token(aud="others"),
        issuer.token(iss="http://127.0.0.1:1"),
        issuer.token(exp=time.time() - 600),
        issuer.token(nbf=time.time() + 600),
        issuer.token(exp=None),
        issuer.token(aud=None),
        issuer.token(sub=None),
        issuer.token(None, "none"),
        issuer.token("a secret that is long enough for the algorithm", "HS256"),
        jwt.api_jws.PyJWS().encode(b"{}", b"x" * 32, "HS256", headers={"kid": "r1", "key": public.decode()}),
        f"{head}.{claims}.",
        f"{head}.{claims}.{signature[:-4]}AAAA",
        f"{head}.{issuer.token(sub='root').split('.')[1]}.{signature}",
        "a.b.c",
        "..",
        "é.é.é",
        "a key",
        "",
    ):
        assert ask(running, token) == (401, "E_KEY"), token
    assert running.client.post("/v1/shop/predict", json={}).status_code == 401
    assert len(issuer.asked) == 2  # keys nobody has heard of do not make us ask again and again


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """So many seconds have gone by for whoever looks for keys."""
    monkeypatch.setattr(oidc, "monotonic", lambda: time.monotonic() + seconds)


def await_asked(issuer: Issuer, times: int) -> None:
    """Returns when the issuer has been asked so often."""
    until = time.monotonic() + 30
    while len(issuer.asked) < times:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_new_key_of_the_issuer_is_found(serve: Serve, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    running = start(serve, issuer)
    assert ask(running, issuer.token()) == (200, "")
    issuer.keys = {"r2": OTHER}
    later(monkeypatch, 50)
    assert ask(running, issuer.token(OTHER, kid="r2")) == (401, "E_KEY")
    later(monkeypatch, 61)
    assert ask(running, issuer.token(OTHER, kid="r2")) == (200, "")
    assert ask(running, issuer.token()) == (401, "E_KEY")
    assert len(issuer.asked) == 4


def test_an_issuer_that_fails_once_turns_nobody_away_for_long(
    serve: Serve, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = start(serve, issuer)
    issuer.status = 500
    token = issuer.token()
    assert ask(running, token) == (503, "E_ISSUER")
    issuer.status = 200
    assert [ask(running, token) for _ in range(3)] == [(503, "E_ISSUER")] * 3
    assert len(issuer.asked) == 1  # not at each request
    later(monkeypatch, 6)
    assert ask(running, token) == (200, "")
    assert ask(running, issuer.token(kid="never heard of")) == (401, "E_KEY")


def test_a_key_that_is_known_lets_in_while_the_issuer_is_away(
    serve: Serve, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = start(serve, issuer, timeout=30.0)
    assert ask(running, issuer.token()) == (200, "")
    later(monkeypatch, 61)
    issuer.free.clear()
    with ThreadPoolExecutor(1) as pool:
        unknown = pool.submit(ask, running, issuer.token(kid="never heard of"))
        await_asked(issuer, 3)
        assert ask(running, issuer.token()) == (200, "")  # while the other waits
        assert not unknown.done()
        issuer.status = 500
        issuer.free.set()
        assert unknown.result() == (503, "E_ISSUER")  # nobody can say whose it is
    assert ask(running, issuer.token()) == (200, "")
    assert len(issuer.asked) == 3


def test_waiting_for_the_issuer_takes_a_request_s_time_and_place(
    serve: Serve, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "p" * 43
    running = start(serve, issuer, keys={"own": sha256(key.encode()).hexdigest()}, timeout=0.5, concurrency=1)
    issuer.free.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, running, issuer.token())
        await_asked(issuer, 1)
        assert ask(running, key) == (503, "E_BUSY")
        assert first.result() == (503, "E_ISSUER")
    assert ask(running, key) == (200, "")


def test_strangers_do_not_crowd_before_an_issuer_that_is_away(
    serve: Serve, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = start(serve, issuer, timeout=30.0)
    issuer.status = 500
    assert ask(running, issuer.token()) == (503, "E_ISSUER")
    later(monkeypatch, 6)
    issuer.status = 200
    issuer.free.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, running, issuer.token())
        await_asked(issuer, 2)
        assert [ask(running, issuer.token()) for _ in range(3)] == [(503, "E_ISSUER")] * 3
        assert not first.done()
        issuer.free.set()
        assert first.result() == (200, "")


@pytest.mark.parametrize("said", [[], [1], 1, {}, {"keys": 1}, {"keys": [1]}, {"keys": [{}]}])
def test_an_issuer_that_says_nonsense_is_one_that_does_not_answer(
    serve: Serve, issuer: Issuer, monkeypatch: pytest.MonkeyPatch, said: Any
) -> None:
    monkeypatch.setattr(Issuer, "set", said)
    assert ask(start(serve, issuer), issuer.token())[0] in {401, 503}


def test_an_issuer_that_is_another_is_said_to_be(serve: Serve, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    running, name = start(serve, issuer), issuer.name
    issuer.status = 302
    assert ask(running, issuer.token()) == (503, "E_ISSUER")
    later(monkeypatch, 6)
    issuer.status, issuer.name = 200, "https://elsewhere.example.org"
    token = issuer.token(iss=name)
    assert ask(running, token) == (503, "E_ISSUER")
    later(monkeypatch, 12)
    issuer.name = name
    assert ask(running, token) == (200, "")


def test_keys_and_tokens_stand_beside_each_other(serve: Serve, issuer: Issuer) -> None:
    key = "p" * 43
    running = start(serve, issuer, keys={"backend": sha256(key.encode()).hexdigest()}, rate=0.001, burst=2)
    assert [ask(running, key) for _ in range(3)] == [(200, ""), (200, ""), (429, "E_RATE")]
    assert [ask(running, issuer.token(sub="backend")) for _ in range(3)] == [(200, ""), (200, ""), (429, "E_RATE")]
    assert ask(running, issuer.token(sub="other")) == (200, "")


@pytest.mark.parametrize("issuer", ["http://login.example.org", "ftp://x", "http://localhost.evil.example", ""])
def test_an_issuer_is_asked_over_tls(issuer: str) -> None:
    with pytest.raises(ValidationError):
        Oidc(issuer=issuer, audience="scores")
