"""The bodies of requests, and what is wrong with them."""

import asyncio
from typing import Annotated, Any

from annotated_types import MaxLen
from fastapi import Request
from pydantic import BaseModel, ConfigDict, FailFast, ValidationError
from starlette.requests import ClientDisconnect

from retrace.input_rows import MOST_ROWS

MOST_BYTES = 20_000_000  # in a request
SECONDS_TO_SEND = 20  # in which a client must have sent its request
LONGEST_ID = 200


class Rejected(Exception):  # noqa: N818  # it's a reply, not an error of the server
    """A request that isn't answered as it wants.

    Attributes:
        status: of HTTP.
        messages: one for each mistake.
    """

    def __init__(self, status: int, *messages: str) -> None:
        super().__init__(*messages)
        self.status, self.messages = status, messages


class PredictRequest(BaseModel):
    """The body of a request for predictions.

    Attributes:
        rows: an object for each row.
        ids: the ids of the predictions; if there are none, the server makes new ones.
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    rows: Annotated[list[dict[str, Any]], MaxLen(MOST_ROWS), FailFast()]
    ids: Annotated[list[str], MaxLen(MOST_ROWS), FailFast()] = []


class Label(BaseModel):
    """A label and the id of its prediction."""

    model_config = ConfigDict(extra="forbid", strict=True)
    id: str
    label: bool | int | float | str


class LabelsRequest(BaseModel):
    """The body of a request that stores labels."""

    model_config = ConfigDict(extra="forbid", strict=True)
    labels: Annotated[list[Label], MaxLen(MOST_ROWS), FailFast()]


async def read_body(request: Request) -> bytes:
    """The body of a request.

    Raises:
        Rejected: it isn't JSON by its type, it's too large, takes too long, or its client has gone.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Rejected(415, "the header Content-Type must be application/json")
    parts, size = [], 0
    try:
        async with asyncio.timeout(SECONDS_TO_SEND):
            async for part in request.stream():
                size += len(part)
                if size > MOST_BYTES:
                    raise Rejected(413, f"the request has more than {MOST_BYTES:,} bytes; send fewer rows at a time")
                parts.append(part)
    except TimeoutError:
        raise Rejected(408, f"the request took more than {SECONDS_TO_SEND} seconds to arrive") from None
    except ClientDisconnect:
        raise Rejected(499, "the client has gone") from None  # nginx's number for it
    return b"".join(parts)


def read_rows_and_ids(body: bytes) -> PredictRequest:
    """What a request for predictions asks for.

    Raises:
        Rejected: it isn't valid.
    """
    try:
        asked = PredictRequest.model_validate_json(body)
    except ValidationError as error:
        raise rejected(error) from None
    if not asked.rows:
        raise Rejected(422, "rows: empty; there must be a row")
    if not asked.ids:
        return asked
    if len(asked.ids) != len(asked.rows):
        raise Rejected(422, "ids: there must be one for each row")
    if len(set(asked.ids)) < len(asked.ids):
        raise Rejected(422, "ids: must be unique")
    for number, name in enumerate(asked.ids, start=1):
        if not 0 < len(name) <= LONGEST_ID or not name.isprintable():
            raise Rejected(422, f"ids: row {number}: must have 1 to {LONGEST_ID} printable characters")
    return asked


def read_labels(body: bytes) -> dict[str, Any]:
    """The labels in a request, by the id of their prediction.

    Raises:
        Rejected: it isn't valid.
    """
    try:
        labels = LabelsRequest.model_validate_json(body).labels
    except ValidationError as error:
        raise rejected(error) from None
    found = {label.id: label.label for label in labels}
    if len(found) < len(labels):
        raise Rejected(422, "labels: ids must be unique")
    if not all(name.isprintable() for name in found):
        raise Rejected(422, "labels: ids must be printable")
    return found


def rejected(error: ValidationError) -> Rejected:
    """The reply to a body that isn't valid, without its values."""
    mistakes = error.errors(include_url=False, include_input=False, include_context=False)
    status, messages = 422, []
    for mistake in mistakes[:20]:
        place, message = mistake["loc"], mistake["msg"].lower()
        if mistake["type"] == "json_invalid":
            messages.append(f"the body is not JSON: {mistake['msg'].removeprefix('Invalid JSON: ')}")
        elif mistake["type"] == "too_long":
            status = 413
            messages.append(f"{place[0]}: there are more than {MOST_ROWS:,}; send fewer at a time")
        elif mistake["type"] == "extra_forbidden":
            messages.append(f"{place[-1]}: unknown")
        elif len(place) < 2:
            messages.append(f"{place[0] if place else 'the body'}: {message}")
        else:
            messages.append(f"{place[0]}: row {int(place[1]) + 1}: {message}")
    return Rejected(status, *dict.fromkeys(messages))
