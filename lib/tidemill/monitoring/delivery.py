"""Sending messages: a webhook as Slack takes it, mail, a file; never to an address of the inside unless it is listed.

A host's name is looked up once, every address that it has is checked, and the connection goes to one of those: a name
that means another address a moment later changes nothing. Redirections are not followed.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import smtplib
import socket
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tidemill.core.config_section import from_environment
from tidemill.core.errors import Exit, TidemillError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tidemill.core.config_monitor import Alerts, Mail
    from tidemill.monitoring.alerts import Message

_COMPATIBLE = ipaddress.IPv6Network("::/96")  # IPv4 as the first IPv6 hosts wrote it
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class Channel:
    """One way to people, which fails for itself.

    Args:
        name: what tells it from others: `webhook`, `mail:ADDRESS` or `file`.
        send: takes a message; raises a `TidemillError` where it does not arrive.
    """

    name: str
    send: Callable[[Message], None]


def channels(root: Path, settings: Alerts) -> list[Channel]:
    """The channels that are set; each address of mail is one, so that one that is refused keeps nothing from others."""
    found = []
    if settings.webhook:
        found.append(
            Channel("webhook", lambda message: post(from_environment(settings.webhook), message.text, settings))
        )
    mail = settings.mail
    if mail is not None:
        found += [Channel(f"mail:{to}", partial(send_mail, mail, to, settings)) for to in dict.fromkeys(mail.to)]
    if settings.file:
        found.append(Channel("file", partial(append, root / settings.file)))
    return found


def append(path: Path, message: Message) -> None:
    """Adds a message to a file as one line of JSON, whole or not at all as far as other readers are concerned.

    Raises:
        TidemillError: E_ALERT (unavailable).
    """
    line = json.dumps({"severity": message.severity, "subject": message.subject, "text": message.text}) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:
            file.write(line.encode())
    except OSError as error:
        raise _unsent(str(path), str(error)) from error


def post(url: str, text: str, settings: Alerts) -> None:
    """Posts `{"text": ...}`.

    Raises:
        TidemillError: E_ALERT_HOST (configuration) where the address is not to be reached; E_ALERT (unavailable).
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise _no_address(url) from error
    if parts.scheme not in {"http", "https"} or not host:
        raise _no_address(url)
    address = _allowed(host, port, settings)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = _Https(host, address, port, settings.timeout)
    else:
        connection = _Http(host, address, port, settings.timeout)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", path, json.dumps({"text": text}), {"Content-Type": "application/json"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise _unsent(host, str(error)) from error
    finally:
        connection.close()
    if status >= 300:
        raise _unsent(host, f"it answers {status}")


def send_mail(mail: Mail, to: str, settings: Alerts, message: Message) -> None:
    """Hands a mail for one address to a relay.

    Raises:
        TidemillError: E_ALERT_HOST (configuration) where the address is not to be reached; E_ALERT (unavailable).
    """
    address = _allowed(mail.host, mail.port, settings)
    try:
        made = EmailMessage()
        made["Subject"], made["From"], made["To"] = message.subject, mail.sender, to
        made.set_content(message.text)
        with smtplib.SMTP(address, mail.port, timeout=settings.timeout) as server:
            server.send_message(made)
    except (OSError, smtplib.SMTPException, ValueError) as error:  # a ValueError: an address that is none
        raise _unsent(mail.host, str(error)) from error


class _Http(http.client.HTTPConnection):
    """A connection to an address that was checked, whatever the name means by now."""

    def __init__(self, host: str, address: str, port: int, timeout: float) -> None:
        super().__init__(host, port, timeout=timeout)
        self._address = address

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), self.timeout)


class _Https(http.client.HTTPSConnection):
    """The same with the host's certificate."""

    def __init__(self, host: str, address: str, port: int, timeout: float) -> None:
        self._secure = ssl.create_default_context()
        super().__init__(host, port, timeout=timeout, context=self._secure)
        self._address = address

    def connect(self) -> None:
        plain = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = self._secure.wrap_socket(plain, server_hostname=self.host)


def _allowed(host: str, port: int, settings: Alerts) -> str:
    """An address of a host, all of whose addresses may be reached."""
    try:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except OSError as error:
        raise _unsent(host, f"its name is not known: {error}") from error
    except UnicodeError as error:
        raise _refused(f"{host!r} is no name of a host: {error}", "write the host's name or address") from error
    inside = [a for a in found if is_inside(ipaddress.ip_address(a.split("%")[0]))]
    if inside and host not in settings.allow_hosts:
        raise _refused(f"{host!r} is {inside[0]}, an address of the inside", f"list {host!r} in alerts.allow_hosts")
    return found[0]


def is_inside(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address, or the IPv4 address that it stands for, is not one of the world's."""
    if address.is_multicast or not address.is_global:
        return True
    if isinstance(address, ipaddress.IPv4Address):
        return False
    embedded = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        embedded.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address.is_site_local or address in _COMPATIBLE or any(a is not None and is_inside(a) for a in embedded)


def _no_address(url: str) -> TidemillError:
    return _refused(f"{url.partition('?')[0]!r} is no web address", "write https://...")


def _refused(what: str, next_step: str) -> TidemillError:
    return TidemillError(
        "E_ALERT_HOST", what, where="configuration key alerts", next_step=next_step, exit_code=Exit.CONFIGURATION
    )


def _unsent(host: str, what: str) -> TidemillError:
    return TidemillError(
        "E_ALERT",
        f"{host!r} did not take the alert: {what}",
        where="configuration key alerts",
        next_step="see whether it can be reached; the next run tries it again",
        exit_code=Exit.UNAVAILABLE,
    )
