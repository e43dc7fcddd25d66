"""Who is told of alerts, channel by channel, and the record of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.core.errors import Exit, TidemillError
from tidemill.core.runs import INDEX, REPORT, run_folder, write_text
from tidemill.core.time import format_time
from tidemill.data.commit import commit, derived_batch
from tidemill.data.read import read_arrow, version_of
from tidemill.data.schema import delta_schema
from tidemill.monitoring import alerts
from tidemill.monitoring.delivery import channels
from tidemill.monitoring.tables import ALERTS, DELIVERIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.cli.context import Context
    from tidemill.monitoring.delivery import Channel

TEXT = "alerts.txt"
_ALERT = tuple(field.name for field in fields(alerts.Alert))
_PASSES = frozenset({Exit.USAGE, Exit.TRY_AGAIN, Exit.TERMINATED})
_KINDS = {"E_STALE": alerts.STALE, "E_NO_TIME": alerts.NO_DATA, "E_NO_POPULATION": alerts.NO_DATA}


@dataclass(frozen=True)
class Told:
    """What came of a round: keys that somebody was told of, failures by key, sentences about channels that failed."""

    sent: frozenset[str]
    failures: dict[str, str]
    notes: tuple[str, ...]


def tell(context: Context, at: datetime, found: Sequence[alerts.Alert]) -> Told:
    """Tells each channel what it has not been told yet, today's and what it did not take before.

    Each try is kept before the next channel is tried. An alert may reach a channel twice where the run ends between
    sending and keeping, and is never lost.

    Args:
        context: of the run.
        at: the as-of time.
        found: then.
    """
    settings, sent, failures, notes = context.config.alerts, set[str](), dict[str, str](), list[str]()
    known = _tries(context, at)
    for channel in channels(context.root, settings):
        told = alerts.due(found, known.get(channel.name, []), at, settings)
        message = alerts.group(alerts.dated(told, at), context.use_case.name, format_time(at), _link(context))
        if message is None:
            continue
        failure = None
        try:
            channel.send(message)
            sent |= {one.alert.key for one in told}
        except TidemillError as error:
            failure = error.what
            keys = [one.alert.key for one in told]
            failures |= {key: "; ".join(filter(None, [failures.get(key), failure])) for key in keys}
            notes.append(f"{error.what}; {error.next_step}")
        _keep_tries(context, at, channel, told, failure)
    return Told(frozenset(sent), failures, tuple(notes))


def tell_and_keep(context: Context, found: Sequence[alerts.Alert], batch: dict[str, str]) -> tuple[str, ...]:
    """Tells and keeps all alerts of T.

    Args:
        context: of the run.
        found: everything.
        batch: what they were found from.

    Returns:
        Sentences about channels that failed.
    """
    at, name, settings = context.as_of, context.use_case.name, context.config.alerts
    told = tell(context, at, found)
    worth = alerts.worth_sending(found, {}, at.date(), settings)
    message = alerts.group(worth, name, format_time(at), _link(context))
    if message is not None:
        write_text(run_folder(context.root, context.lake.run_id) / TEXT, message.text + "\n")
    rows = [
        {
            "use_case": name,
            "as_of": at,
            **asdict(alert),
            "sent": alert.key in told.sent,
            "silenced": alerts.silenced(alert, at.date(), settings),
            "failure": told.failures.get(alert.key),
            "made_at": context.now,
        }
        for alert in found
    ]
    if rows:
        made = pa.Table.from_pylist(rows, schema=delta_schema(ALERTS.columns))
        commit(context.lake, ALERTS, derived_batch(ALERTS, {"use_case": name, **batch}), made)
    return told.notes


def tell_again(context: Context, found: Sequence[alerts.Alert]) -> tuple[str, ...]:
    """Tells what a run without anything to judge found, and keeps what T had not raised before."""
    kept = _kept(context)
    fresh = [alert for alert in found if alert.key not in kept]
    if fresh:
        keys = ", ".join(sorted(alert.key for alert in fresh))
        return tell_and_keep(context, fresh, {"as_of": format_time(context.as_of), "standing": keys})
    return tell(context, context.as_of, [alert for alert in found if alert.key in kept]).notes


def tell_failure(context: Context, error: TidemillError) -> tuple[str, ...]:
    """Tells the channels that the run has failed, but for a fault in how it was called, and what passes by itself."""
    if error.exit_code in _PASSES or not channels(context.root, context.config.alerts):
        return ()
    try:
        at = context.as_of
    except TidemillError:
        at = context.now  # there is no other, where nothing is known yet
    name = f"{context.use_case.name}.{context.job}.{error.code}"
    kind = _KINDS.get(error.code, alerts.FAILED)
    found = alerts.Alert("alert", kind, name, f"{error.what} ({error.where}); {error.next_step}")
    return tell(context, at, [found]).notes


def _tries(context: Context, at: datetime) -> dict[str, list[alerts.Try]]:
    """What each channel was given up to an as-of time, oldest first; an earlier judgement of that time counts."""
    found: dict[str, list[alerts.Try]] = {}
    if version_of(context.lake, DELIVERIES) is None:
        return found
    where = (pc.field("use_case") == context.use_case.name) & (pc.field("as_of") <= at)
    for row in sorted(read_arrow(context.lake, DELIVERIES, where=where).to_pylist(), key=lambda row: row["made_at"]):
        alert = alerts.Alert(*(row[name] for name in _ALERT))
        found.setdefault(row["channel"], []).append(alerts.Try(alerts.Raised(alert, row["as_of"]), row["sent"]))
    return found


def _keep_tries(
    context: Context, at: datetime, channel: Channel, told: Sequence[alerts.Raised], failure: str | None
) -> None:
    name, now = context.use_case.name, datetime.now(UTC)  # a run may try twice
    rows = [
        {
            "use_case": name,
            "as_of": one.as_of,
            **asdict(one.alert),
            "channel": channel.name,
            "sent": failure is None,
            "failure": failure,
            "made_at": now,
        }
        for one in told
    ]
    inputs = {"use_case": name, "as_of": format_time(at), "channel": channel.name, "made_at": now.isoformat()}
    made = pa.Table.from_pylist(rows, schema=delta_schema(DELIVERIES.columns))
    commit(context.lake, DELIVERIES, derived_batch(DELIVERIES, inputs), made)


def _kept(context: Context) -> set[str]:
    """Keys of what was found at T before."""
    if version_of(context.lake, ALERTS) is None:
        return set()
    where = (pc.field("use_case") == context.use_case.name) & (pc.field("as_of") == context.as_of)
    return {alerts.Alert(**row).key for row in read_arrow(context.lake, ALERTS, list(_ALERT), where).to_pylist()}


def _link(context: Context) -> str:
    """The run's page, or where it has none the index of the use case's pages, or where what it left lies."""
    runs, run_id, page = context.root / "runs", context.lake.run_id, context.config.alerts.page
    for place in (f"{run_id}/{REPORT}", INDEX.format(context.use_case.name)):
        if (runs / place).exists():
            return f"{page.rstrip('/')}/{place}" if page else str(runs / place)
    return str(run_folder(context.root, run_id))
