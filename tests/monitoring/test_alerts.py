"""Alerts: what is sent and what is not, one message of many, real HTTP and SMTP to this machine, and nothing inside."""

import socketserver
import threading
from datetime import date
from ipaddress import ip_address
from typing import Any, ClassVar

import pytest
from servers.webhook import webhook
from tidemill.core.config_monitor import Alerts, Mail, Silence
from tidemill.core.errors import TidemillError
from tidemill.monitoring.alerts import Alert, Message, group, silenced, worth_sending
from tidemill.monitoring.delivery import deliver, is_inside, post, send_mail

TODAY = date(2026, 3, 10)
SETTINGS = Alerts(
    least="warn", repeat_days=7, webhook="", mail=None, allow_hosts=(), timeout=5, page="", silent_days=40, silences=()
)
DRIFT = Alert("alert", "drift", "churn.plan", "its level is 2.00 sd above the usual")
STALE = Alert("warn", "stale", "silver.visits", "the source 'visits' is complete only until 2026-03-01")
MESSAGE = Message("alert", "subject", "subject\n- line")


def changed(**values: Any) -> Alerts:
    return SETTINGS.model_copy(update=values)


def test_what_lasts_is_sent_again_after_a_week_only() -> None:
    both = [DRIFT, STALE]
    assert worth_sending(both, {}, TODAY, SETTINGS) == both
    assert worth_sending(both, {DRIFT.key: date(2026, 3, 4)}, TODAY, SETTINGS) == [STALE]
    assert worth_sending(both, {DRIFT.key: date(2026, 3, 3)}, TODAY, SETTINGS) == both
    worse = Alert("warn", "drift", "churn.plan", "")
    assert worth_sending([DRIFT], {worse.key: TODAY}, TODAY, SETTINGS) == [DRIFT]  # what got worse is news
    assert worth_sending(both, {}, TODAY, changed(least="alert")) == [DRIFT]


def test_a_silence_ends() -> None:
    quiet = changed(silences=(Silence(kind="drift", until=date(2026, 3, 11), because="new prices"),))
    assert worth_sending([DRIFT, STALE], {}, TODAY, quiet) == [STALE]
    assert silenced(DRIFT, TODAY, quiet) == "new prices"
    assert silenced(DRIFT, date(2026, 3, 11), quiet) is None
    other = changed(silences=(Silence(kind="drift", subject="churn.age", until=date(2027, 1, 1), because="x"),))
    assert silenced(DRIFT, TODAY, other) is None


def test_many_alerts_are_one_message_worst_first() -> None:
    found = group([STALE, DRIFT], "churn", "2026-03-10T00:00:00Z", "https://pages.example.org/r1/report.html")
    assert found is not None
    assert found.severity == "alert"
    assert found.text.splitlines() == [
        "[tidemill alert] churn as of 2026-03-10T00:00:00Z: 1 drift, 1 stale",
        "- alert, drift, churn.plan: its level is 2.00 sd above the usual",
        "- warn, stale, silver.visits: the source 'visits' is complete only until 2026-03-01",
        "https://pages.example.org/r1/report.html",
    ]
    assert group([], "churn", "", "") is None


def test_a_webhook_gets_the_text() -> None:
    with webhook() as (port, got):
        post(f"http://127.0.0.1:{port}/hook?key=1", "words", changed(allow_hosts=("127.0.0.1",)))
    assert got == [("/hook?key=1", {"text": "words"})]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://localhost:9/x", "http://10.0.0.7/", "http://[::1]/",
                                 "http://169.254.169.254/latest", "http://2130706433/"])  # fmt: skip
def test_addresses_of_the_inside_are_refused(url: str) -> None:
    with pytest.raises(TidemillError) as found:
        post(url, "words", SETTINGS)
    assert found.value.code == "E_ALERT_HOST"
    assert "alerts.allow_hosts" in found.value.next_step


@pytest.mark.parametrize("address", ["::127.0.0.1", "fec0::1", "2002:7f00:1::", "64:ff9b::7f00:1", "224.0.0.1",
                                     "ff0e::1", "::ffff:10.0.0.1", "::1", "2001:0:7f00:1::1"])  # fmt: skip
def test_every_spelling_of_the_inside_is_known(address: str) -> None:
    assert is_inside(ip_address(address))


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07::1", "2002:5db8:d70e::1", "64:ff9b::808:808"])
def test_the_world_is_not_the_inside(address: str) -> None:
    assert not is_inside(ip_address(address))


@pytest.mark.parametrize("url", ["https://example.org:99999/x", f"https://{'a' * 64}.example.org/", "http://[::1/x"])
def test_an_address_that_cannot_be_one_is_refused_and_ends_nothing(url: str) -> None:
    (error,) = deliver(MESSAGE, changed(webhook=url))
    assert error.code == "E_ALERT_HOST"


def test_no_web_address_is_refused_without_showing_its_secret() -> None:
    with pytest.raises(TidemillError) as found:
        post("file:///etc/passwd?token=secret", "words", SETTINGS)
    assert found.value.code == "E_ALERT_HOST"
    assert "secret" not in str(found.value)


@pytest.mark.parametrize("status", [302, 404, 500])
def test_what_is_not_taken_is_said_and_no_redirection_is_followed(status: int) -> None:
    with webhook(status) as (port, got):
        settings = changed(webhook=f"http://127.0.0.1:{port}/", allow_hosts=("127.0.0.1",))
        failed = deliver(MESSAGE, settings)
    assert [error.what for error in failed] == [f"'127.0.0.1' did not take the alert: it answers {status}"]
    assert len(got) == 1


class _Relay(socketserver.StreamRequestHandler):
    got: ClassVar[list[str]] = []

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        data = False
        for raw in self.rfile:
            line = raw.decode().rstrip("\r\n")
            if data:
                data = line != "."
                self.got.append(line)
                answer = "" if data else "250 taken"
            else:
                data = line.upper() == "DATA"
                answer = "354 go on" if data else "221 bye" if line.upper() == "QUIT" else "250 ok"
            if answer:
                self.wfile.write(answer.encode() + b"\r\n")
            if answer.startswith("221"):
                return


def test_a_relay_gets_the_mail() -> None:
    _Relay.got = []
    with socketserver.TCPServer(("127.0.0.1", 0), _Relay) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        mail = Mail(host="127.0.0.1", port=server.server_address[1], sender="a@example.org", to=("b@example.org",))
        send_mail(mail, MESSAGE, changed(allow_hosts=("127.0.0.1",)))
        thread.join()
    assert "Subject: subject" in _Relay.got
    assert "- line" in _Relay.got
    with pytest.raises(TidemillError, match="address of the inside"):
        send_mail(mail, MESSAGE, SETTINGS)


def test_one_channel_does_not_stop_another() -> None:
    with webhook() as (port, got):
        mail = Mail(host="127.0.0.1", port=1, sender="a@example.org", to=("b@example.org",))
        settings = changed(webhook=f"http://127.0.0.1:{port}/", mail=mail, allow_hosts=("127.0.0.1",))
        failed = deliver(MESSAGE, settings)
    assert [error.code for error in failed] == ["E_ALERT"]
    assert len(got) == 1
