"""What went wrong with an object store, by the words of its three clients: Arrow, delta-rs and Hadoop."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tidemill.core.errors import Exit, TidemillError
from tidemill.data.places import StorePath

if TYPE_CHECKING:
    from tidemill.data.places import Place

_NO_CLIENT = re.compile(r"Class org\.apache\.hadoop\.fs\.\S+ not found|No FileSystem for scheme")
_NO_BUCKET = re.compile(r"NoSuchBucket|NO_SUCH_BUCKET|UnknownStoreException")
# 169.254.169.254 is where a machine in a cloud is asked for its role, when the environment holds no credentials.
_DENIED = re.compile(
    r"AccessDenied|ACCESS_DENIED|Access Denied|Forbidden|InvalidAccessKeyId|INVALID_ACCESS_KEY_ID|SignatureDoesNotMatch"
    r"|SIGNATURE_DOES_NOT_MATCH|ExpiredToken|InvalidToken|NoAuthWithAWSException|CredentialsProvider"
    r"|169\.254\.169\.254|PermanentRedirect"
)
_AWAY = re.compile(
    r"NETWORK_CONNECTION|error sending request|[Cc]onnection (?:refused|reset)|ConnectException|UnknownHostException"
    r"|NoHttpResponseException|Unable to execute HTTP request|[Tt]imed out|REQUEST_TIMEOUT|RequestTimeout"
    r"|SlowDown|SLOW_DOWN|ServiceUnavailable|SERVICE_UNAVAILABLE|InternalError|INTERNAL_FAILURE"
    r"|50[0234] (?:Internal|Bad|Service|Gateway)"
)


def store_fault(error: BaseException, place: Place) -> TidemillError | None:
    """The error of a store that is away or does not let us in, without what else stands in its answer.

    Args:
        error: whatever a client raised.
        place: of the tables; what goes wrong in a local folder is no fault of a store.

    Returns:
        E_STORE (try again), E_STORE_DENIED or E_STORE_CLIENT (configuration); None where it is neither.
    """
    if not isinstance(place, StorePath):
        return None
    text = str(error)
    if _NO_CLIENT.search(text):
        return TidemillError(
            "E_STORE_CLIENT",
            "Spark has no client of the object store that the tables lie in",
            where=str(place),
            next_step="run it by spark-submit.sh, and give a new root its address in TIDEMILL_TABLES: docs/clusters.md",
            exit_code=Exit.CONFIGURATION,
        )
    if found := _NO_BUCKET.search(text) or _DENIED.search(text):
        return TidemillError(
            "E_STORE_DENIED",
            f"the object store has no such bucket, or does not let us in ({found.group()})",
            where=str(place),
            next_step="check the address, AWS_REGION, and the credentials in the environment or of the machine's role",
            exit_code=Exit.CONFIGURATION,
        )
    if found := _AWAY.search(text):
        return TidemillError(
            "E_STORE",
            f"the object store does not answer ({found.group()})",
            where=str(place),
            next_step="run the same command again when it does: it goes on where it stopped",
            exit_code=Exit.TRY_AGAIN,
        )
    return None
