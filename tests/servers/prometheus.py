"""Pushgateway, Prometheus and Alertmanager of Debian's packages, as deploy/ and conf/ configure them, but quicker."""

import json
import signal
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.error import URLError

import yaml

from servers import process

HOME = Path(__file__).resolve().parents[2]


class Prometheus:
    """The three servers with their data in one folder; the configuration is ours but for places and waits.

    Args:
        folder: for data and logs.
        programs: the folder of their programs.
        webhook: where Alertmanager posts messages.
    """

    def __init__(self, folder: Path, programs: Path, webhook: str) -> None:
        self.folder, self.programs, self.webhook = folder, programs, webhook
        self.ports = {name: process.free_port() for name in ("pushgateway", "alertmanager", "prometheus")}
        self._running = ExitStack()

    def address(self, name: str) -> str:
        """Where one of them answers."""
        return f"http://{process.HOST}:{self.ports[name]}"

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The samples that Prometheus has of a metric by now."""
        url = f"{self.address('prometheus')}/api/v1/query?query={query}"
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found

    def start(self) -> None:
        """Returns when all of them answer."""
        here, folder = f"{process.HOST}:%d", self.folder
        kept = f"--persistence.file={folder / 'pushgateway'}"
        self._launch("pushgateway", "prometheus-pushgateway", kept, f"--web.listen-address={here}")
        (folder / "webhook").write_text(self.webhook, encoding="utf-8")
        self._launch(
            "alertmanager",
            "prometheus-alertmanager",
            f"--config.file={self._alertmanager()}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address={here}",
            "--cluster.listen-address=",
        )
        self._launch(
            "prometheus",
            "prometheus",
            f"--config.file={self._prometheus()}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            f"--web.listen-address={here}",
        )

    def stop(self) -> None:
        """Ends all of them."""
        self._running.close()

    def _launch(self, name: str, program: str, *options: str) -> None:
        log = self.folder / f"{name}.log"
        command = [str(self.programs / program), *(o.replace("%d", str(self.ports[name])) for o in options)]
        server = process.launch(command, log, signal.SIGKILL)
        self._running.callback(process.end, server, signal.SIGTERM)

        def answers() -> bool:
            try:
                with urllib.request.urlopen(f"{self.address(name)}/-/ready", timeout=5):  # noqa: S310
                    return True
            except (URLError, OSError):
                return False

        process.await_start(server, log, answers)

    def _prometheus(self) -> Path:
        made = yaml.safe_load((HOME / "deploy" / "prometheus.yml").read_text(encoding="utf-8"))
        made["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        made["rule_files"] = [str(HOME / "conf" / "prometheus" / "*.yml")]
        made["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [self._target("alertmanager")]
        # The exporter of text files and the service are not there: what is pushed is all there is.
        made["scrape_configs"] = [job for job in made["scrape_configs"] if job["job_name"] == "tidemill-pushed"]
        made["scrape_configs"][0]["static_configs"][0]["targets"] = [self._target("pushgateway")]
        return self._written("prometheus.yml", made)

    def _alertmanager(self) -> Path:
        made = yaml.safe_load((HOME / "conf" / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8"))
        made["route"] |= {"group_wait": "1s", "group_interval": "1s"}
        for receiver in made["receivers"]:
            for chat in receiver["slack_configs"]:
                chat["api_url_file"] = str(self.folder / "webhook")
        return self._written("alertmanager.yml", made)

    def _target(self, name: str) -> str:
        return f"{process.HOST}:{self.ports[name]}"

    def _written(self, name: str, made: dict[str, Any]) -> Path:
        path = self.folder / name
        path.write_text(yaml.safe_dump(made), encoding="utf-8")
        return path
