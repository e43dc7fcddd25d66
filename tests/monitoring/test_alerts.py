"""Alerts: what is sent and what is not, one message of many, real HTTP and SMTP to this machine, and nothing inside."""

import json
import socketserver
import threading
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, ClassVar

import pytest
from servers.webhook import webhook
from tidemill.core.config_monitor import Alerts, Mail, Silence
from tidemill.core.errors import TidemillError
from tidemill.monitoring.alerts import Alert, Message, Raised, Try, dated, due, group, silenced, worth_sending
from tidemill.monitoring.delivery import channels, is_inside, post, send_mail

TODAY = date(2026, 3, 10)
SETTINGS = Alerts(
    least="warn",
    repeat_days=7,
    webhook="",
    mail=None,
    file="",
    allow_hosts=(),
    timeout=5,
    page="",
    silent_days=40,
    silences=(),
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
def test_an_address_that_cannot_be_one_is_refused(url: str) -> None:
    with pytest.raises(TidemillError) as found:
        post(url, "words", SETTINGS)
    assert found.value.code == "E_ALERT_HOST"


def test_no_web_address_is_refused_without_showing_its_secret() -> None:
    with pytest.raises(TidemillError) as found:
        post("file:///etc/passwd?token=secret", "words", SETTINGS)
    assert found.value.code == "E_ALERT_HOST"
    assert "secret" not in str(found.value)


@pytest.mark.parametrize("status", [302, 404, 500])
def test_what_is_not_taken_is_said_and_no_redirection_is_followed(status: int) -> None:
    with webhook(status) as (port, got):
        settings = changed(allow_hosts=("127.0.0.1",))
        with pytest.raises(TidemillError, match=f"'127.0.0.1' did not take the alert: it answers {status}"):
            post(f"http://127.0.0.1:{port}/", "words", settings)
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
        send_mail(mail, "b@example.org", changed(allow_hosts=("127.0.0.1",)), MESSAGE)
        thread.join()
    assert "Subject: subject" in _Relay.got
    assert "- line" in _Relay.got
    with pytest.raises(TidemillError, match="address of the inside"):
        send_mail(mail, "b@example.org", SETTINGS, MESSAGE)


def test_an_address_that_is_none_is_said_by_its_channel() -> None:
    mail = Mail(host="127.0.0.1", port=1, sender="a@example.org", to=("b@example.org\r\nBcc: c@example.org",))
    (channel,) = channels(Path("/nowhere"), changed(mail=mail, allow_hosts=("127.0.0.1",)))
    with pytest.raises(TidemillError, match="did not take the alert: Header values"):
        channel.send(MESSAGE)


def test_each_way_to_people_is_a_channel_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mail = Mail(host="relay.example.org", sender="a@example.org", to=("b@example.org", "c@example.org"))
    monkeypatch.setenv("HOOK", "http://127.0.0.1:9/secret")
    found = channels(tmp_path, changed(webhook="${HOOK}", mail=mail, file="told/alerts.jsonl"))
    assert [channel.name for channel in found] == ["webhook", "mail:b@example.org", "mail:c@example.org", "file"]
    assert channels(tmp_path, SETTINGS) == []
    with pytest.raises(TidemillError, match="an address of the inside"):
        found[0].send(MESSAGE)
    for _ in range(2):
        found[-1].send(MESSAGE)
    lines = (tmp_path / "told" / "alerts.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [asdict(MESSAGE)] * 2
    (tmp_path / "file").write_text("where a folder should be", "utf-8")
    (channel,) = channels(tmp_path, changed(file="file/alerts.jsonl"))
    with pytest.raises(TidemillError, match="did not take the alert"):
        channel.send(MESSAGE)


def tried(alert: Alert, day: int, *, sent: bool) -> Try:
    return Try(Raised(alert, datetime(2026, 3, day, tzinfo=UTC)), sent)


def told(found: list[Alert], *tries: Try, **values: Any) -> list[tuple[str, int]]:
    made = due(found, tries, datetime(2026, 3, 10, tzinfo=UTC), changed(**values))
    return [(one.alert.kind, one.as_of.day) for one in made]


def test_a_channel_is_told_what_it_has_not_got_and_nothing_twice() -> None:
    assert told([DRIFT, STALE]) == [("drift", 10), ("stale", 10)]
    assert told([DRIFT], tried(DRIFT, 9, sent=True)) == []
    assert told([DRIFT], tried(DRIFT, 3, sent=True)) == [("drift", 10)]  # what lasts, after a week
    assert told([DRIFT], tried(DRIFT, 9, sent=False)) == [("drift", 10)]  # today's, not yesterday's too
    assert told([], tried(DRIFT, 8, sent=False), tried(STALE, 9, sent=False)) == [("drift", 8), ("stale", 9)]
    assert told([], tried(DRIFT, 8, sent=False), tried(DRIFT, 8, sent=True)) == []
    assert told([STALE], tried(DRIFT, 8, sent=True), tried(DRIFT, 9, sent=False)) == [("stale", 10), ("drift", 9)]


def test_what_waits_is_silenced_as_what_is_new() -> None:
    waiting = (tried(DRIFT, 8, sent=False), tried(STALE, 8, sent=False))
    assert told([], *waiting, least="alert") == [("drift", 8)]
    quiet = (Silence(kind="drift", until=date(2026, 3, 11), because="new prices"),)
    assert told([], *waiting, silences=quiet) == [("stale", 8)]


def test_what_is_told_late_says_of_which_day_it_is() -> None:
    at = datetime(2026, 3, 10, tzinfo=UTC)
    lines = [a.text for a in dated([Raised(DRIFT, at), Raised(STALE, at - timedelta(days=2))], at)]
    assert lines == [DRIFT.text, f"{STALE.text} (as of 2026-03-08)"]
