"""The interface in the form of OpenAPI, with the columns of the model that answers."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from retrace.serving.model_process import ModelProcess

REPLY = {
    "200": "The predictions in the order of the rows, with their ids. They are stored.",
    "409": "The log has another request with one of the ids.",
    "408": "The request took too long to arrive.",
    "413": "Too many rows or bytes.",
    "415": "The header Content-Type isn't application/json.",
    "422": "Wrong rows: a line for each mistake.",
    "503": "Busy, or the predictions can't be stored; try again later.",
}
LABELS = {
    "type": "object",
    "required": ["labels"],
    "properties": {
        "labels": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "label"],
                "properties": {"id": {"type": "string"}, "label": {}},
            },
        }
    },
}


def describe_interface(app: FastAPI, model: ModelProcess) -> dict[str, Any]:
    """The description of the interface, for the model that answers now."""
    greeting, package = model.greeting, model.package
    found: dict[str, Any] = get_openapi(
        title=package.name,
        version=package.version or "without a version",
        description=greeting["description"]["question"],
        routes=app.routes,
    )
    for kind, schema in greeting["schemas"].items():
        row = row_schema(schema, {column["name"]: column for column in greeting["description"]["columns"]})
        path = "/predict" if kind == "rows" else f"/predict/{kind}"
        post = found["paths"][path]["post"]
        post["requestBody"] = {"required": True, "content": {"application/json": {"schema": body_schema(row)}}}
        post["responses"] = {status: {"description": text} for status, text in REPLY.items()}
        post["description"] = meaning_of(greeting["description"])
    if "raw" not in greeting["schemas"]:
        del found["paths"]["/predict/raw"]
    labels = found["paths"]["/labels"]["post"]
    labels["responses"] = {"200": {"description": "The labels are stored."}, "422": {"description": "Invalid labels."}}
    labels["requestBody"] = {"required": True, "content": {"application/json": {"schema": LABELS}}}
    return found


def meaning_of(description: dict[str, Any]) -> str:
    """What a prediction is, in a sentence."""
    target, classes = description["target"], [str(name) for name in description["classes"]]
    if not classes:
        return f"A prediction is the predicted {target}."
    if len(classes) == 2:
        return f"A prediction is the probability that {target} is {classes[-1]}."
    return f"A prediction has the probability of each value of {target}: {', '.join(classes)}."


def body_schema(row: dict[str, Any]) -> dict[str, Any]:
    """The schema of the body of a request for predictions."""
    ids = {
        "type": "array",
        "items": {"type": "string"},
        "description": "One for each row; new ones are made if absent.",
    }
    example = {"rows": [row["example"]]}
    rows = {"type": "array", "items": row}
    return {"type": "object", "required": ["rows"], "properties": {"rows": rows, "ids": ids}, "example": example}


def row_schema(schema: dict[str, Any], columns: dict[str, Any]) -> dict[str, Any]:
    """The schema of a row, with what train had in each column, and an example."""
    properties, example = {}, {}
    for name, found in schema["properties"].items():
        column = columns.get(name, {})
        described = dict(found)
        if "categories" in column:
            described["description"] = f"In train: {', '.join(column['categories'][:20])}"
            example[name] = column["categories"][0]
        elif "low" in column:
            described["description"] = f"In train, most are from {column['low']:g} to {column['high']:g}."
            example[name] = column["low"]
        else:
            example[name] = None
        properties[name] = described
    return schema | {"properties": properties, "example": example}
