"""A Chromium without a screen, asked through pipes by its DevTools protocol: what a page does when it is opened."""

import base64
import itertools
import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers import process

# A phone's window grows with what is too wide for it: the page's own width does not.
_LOOK = """(page => ({
    over: page.scrollWidth - page.clientWidth,
    beyond: [...document.querySelectorAll('body *')].filter(e =>
        e.getBoundingClientRect().right > page.clientWidth + 1 && !e.closest('.scroll') && e.checkVisibility())
        .map(e => `${e.tagName} ${e.className.baseVal ?? e.className} ${e.textContent.slice(0, 40)}`),
    links: [...document.querySelectorAll('a')].map(e => e.href),
}))(document.documentElement)"""


@dataclass(frozen=True)
class Look:
    """What a page did and looked like.

    Args:
        asked: addresses that it asked for.
        said: what stood on the console, complaints of the browser among it.
        over: pixels by which it is wider than the window.
        beyond: elements that reach over the right edge, but for those that scroll for themselves.
        links: where it leads.
        picture: PNG of the whole page.
    """

    asked: list[str]
    said: list[str]
    over: int
    beyond: list[str]
    links: list[str]
    picture: bytes


class Chromium:
    """A browser with its profile in one folder.

    Args:
        folder: for its profile and log.
        program: the browser's.
    """

    def __init__(self, folder: Path, program: Path) -> None:
        self.folder, self.program = folder, program
        self._numbers = itertools.count(1)
        self._events: list[dict[str, Any]] = []
        self._rest = b""

    def start(self) -> None:
        """Returns when it answers."""
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe"]
        command = [str(self.program), *options, "--no-first-run", f"--user-data-dir={self.folder}"]
        # The browser reads from 3 and writes to 4.
        line = ["bash", "-c", f'exec "$@" 3<&{to_read} 4>&{to_write}', "bash", *command]
        log = self.folder / "log"
        self._server = process.launch(line, log, signal.SIGKILL, keep=(to_read, to_write))
        os.close(to_read)
        os.close(to_write)
        self.ask("Browser.getVersion")

    def stop(self) -> None:
        """Ends it."""
        process.end(self._server, signal.SIGTERM)
        os.close(self._read)
        os.close(self._write)

    def look_at(self, page: Path, width: int, *, height: int = 800, media: str = "screen", dark: bool = False) -> Look:
        """Opens a page in a window of some width."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable", session)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.ask("Emulation.setDeviceMetricsOverride", session, **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", session, media=media, features=[scheme])
        self._events.clear()
        self.ask("Page.navigate", session, url=page.as_uri())
        while not self._named("Page.loadEventFired"):
            self._events.append(self._next())
        seen = self.ask("Runtime.evaluate", session, expression=_LOOK, returnByValue=True)["result"]["value"]
        shot = self.ask("Page.captureScreenshot", session, captureBeyondViewport=True)
        said = [
            *(event["entry"]["text"] for event in self._named("Log.entryAdded")),
            *(str(event["args"]) for event in self._named("Runtime.consoleAPICalled")),
            *(str(event["exceptionDetails"]) for event in self._named("Runtime.exceptionThrown")),
        ]
        asked = [event["request"]["url"] for event in self._named("Network.requestWillBeSent")]
        self.ask("Target.closeTarget", targetId=target)
        return Look(asked, said, seen["over"], seen["beyond"], seen["links"], base64.b64decode(shot["data"]))

    def ask(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """The result of one command of the protocol; events that come first are kept."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != number:
            self._events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        found: dict[str, Any] = answer["result"]
        return found

    def _named(self, method: str) -> list[dict[str, Any]]:
        return [event["params"] for event in self._events if event.get("method") == method]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            read = os.read(self._read, 1 << 16)
            if not read:
                said = (self.folder / "log").read_text(encoding="utf-8", errors="replace")
                raise RuntimeError(f"the browser has ended:\n{said[-4000:]}")
            self._rest += read
        whole, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(whole)
        return found
