"""The bodies of requests, and what is wrong with them."""

import asyncio
from typing import Annotated, Any

from annotated_types import MaxLen
from fastapi import Request
from pydantic import BaseModel, ConfigDict, FailFast, ValidationError
from starlette.requests import ClientDisconnect

from retrace.input_rows import MAX_MESSAGES, MAX_ROWS

MAX_BYTES = 20_000_000  # in a request
UPLOAD_TIMEOUT = 20  # in which a client must have sent its request
MAX_ID_LENGTH = 200


class RequestError(Exception):
    """Raised to reply with an error.

    Attributes:
        status: the HTTP status code.
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
    rows: Annotated[list[dict[str, Any]], MaxLen(MAX_ROWS), FailFast()]
    ids: Annotated[list[str], MaxLen(MAX_ROWS), FailFast()] = []


class Label(BaseModel):
    """A label and the id of its prediction."""

    model_config = ConfigDict(extra="forbid", strict=True)
    id: str
    label: bool | int | float | str


class LabelsRequest(BaseModel):
    """The body of a request that stores labels."""

    model_config = ConfigDict(extra="forbid", strict=True)
    labels: Annotated[list[Label], MaxLen(MAX_ROWS), FailFast()]


async def read_body(request: Request) -> bytes:
    """The body of a request.

    Raises:
        RequestError: Content-Type isn't application/json, the body is too large or slow, or the client disconnected.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RequestError(415, "the header Content-Type must be application/json")
    parts, size = [], 0
    try:
        async with asyncio.timeout(UPLOAD_TIMEOUT):
            async for part in request.stream():
                size += len(part)
                if size > MAX_BYTES:
                    raise RequestError(413, f"the request has more than {MAX_BYTES:,} bytes; send fewer rows at a time")
                parts.append(part)
    except TimeoutError:
        raise RequestError(408, f"the request took more than {UPLOAD_TIMEOUT} seconds to arrive") from None
    except ClientDisconnect:
        raise RequestError(499, "the client closed the connection") from None  # nginx's number for it
    return b"".join(parts)


def read_rows_and_ids(body: bytes) -> PredictRequest:
    """What a request for predictions asks for.

    Raises:
        RequestError: it isn't valid.
    """
    try:
        asked = PredictRequest.model_validate_json(body)
    except ValidationError as error:
        raise error_from_validation(error) from None
    if not asked.rows:
        raise RequestError(422, "rows: empty; there must be a row")
    if not asked.ids:
        return asked
    if len(asked.ids) != len(asked.rows):
        raise RequestError(422, "ids: there must be one for each row")
    if len(set(asked.ids)) < len(asked.ids):
        raise RequestError(422, "ids: must be unique")
    for number, name in enumerate(asked.ids, start=1):
        if not 0 < len(name) <= MAX_ID_LENGTH or not name.isprintable():
            raise RequestError(422, f"ids: row {number}: must have 1 to {MAX_ID_LENGTH} printable characters")
    return asked


def read_labels(body: bytes) -> dict[str, Any]:
    """The labels in a request, by the id of their prediction.

    Raises:
        RequestError: it isn't valid.
    """
    try:
        labels = LabelsRequest.model_validate_json(body).labels
    except ValidationError as error:
        raise error_from_validation(error) from None
    found = {label.id: label.label for label in labels}
    if len(found) < len(labels):
        raise RequestError(422, "labels: ids must be unique")
    if not all(name.isprintable() for name in found):
        raise RequestError(422, "labels: ids must be printable")
    return found


def error_from_validation(error: ValidationError) -> RequestError:
    """The reply to a body that isn't valid, without its values."""
    mistakes = error.errors(include_url=False, include_input=False, include_context=False)
    status, messages = 422, []
    for mistake in mistakes[:MAX_MESSAGES]:
        place, message = mistake["loc"], mistake["msg"].lower()
        if mistake["type"] == "json_invalid":
            messages.append(f"the body is not JSON: {mistake['msg'].removeprefix('Invalid JSON: ')}")
        elif mistake["type"] == "too_long":
            status = 413
            messages.append(f"{place[0]}: there are more than {MAX_ROWS:,}; send fewer at a time")
        elif place == ("rows",) and mistake["type"] == "missing":
            return RequestError(422, 'rows: missing; the body must be {"rows": [{…}]}, with an object for each row')
        elif len(place) > 2 and place[2] == "label":
            messages.append(f"{place[0]}: row {int(place[1]) + 1}: the label must be a number, true, false or text")
        elif mistake["type"] == "extra_forbidden":
            messages.append(f"{place[-1]}: unknown")
        elif len(place) < 2:
            messages.append(f"{place[0] if place else 'the body'}: {message}")
        else:
            messages.append(f"{place[0]}: row {int(place[1]) + 1}: {message}")
    return RequestError(status, *dict.fromkeys(messages))
