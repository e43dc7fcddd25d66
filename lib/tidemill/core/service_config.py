"""The service's part of the configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]


class Oidc(BaseModel):
    """An OpenID Connect issuer whose tokens let callers in, and the audience that they have to be for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: Annotated[str, Field(pattern=r"^(https://|http://(localhost|127\.0\.0\.1)[:/])")]
    audience: Annotated[str, Field(min_length=1)]


class Serve(BaseModel):
    """Who may ask the service, how much of it, and what it answers about entities that it knows little of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: dict[str, Annotated[str, Field(pattern="^[0-9a-f]{64}$")]]
    oidc: Oidc | None
    hosts: tuple[str, ...]
    pages: bool
    unknown: Literal["refuse", "score"]
    stale: Literal["refuse", "score"]
    max_age: Seconds | None
    reasons: Annotated[int, Field(ge=0)]
    max_body: Positive
    max_entities: Positive
    concurrency: Positive
    timeout: Seconds
    retry_after: Positive
    rate: Seconds
    burst: Positive
    follow: Seconds
    log_share: Annotated[float, Field(ge=0, le=1)]
    log_rows: Positive
    log_seconds: Seconds
