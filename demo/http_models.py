"""Requests and replies of the plain HTTP API: the source of its OpenAPI schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field, create_model

from fashion_xai._version import __version__
from fashion_xai.maps import methods


class Model(BaseModel):
    """Nothing beside what is named."""

    model_config = ConfigDict(extra="forbid")


class PredictQuery(Model):
    """It takes no parameters."""


class ExplainQuery(Model):
    """How the maps are made, and whether they come as pictures too."""

    method: str = Field(
        methods.DEFAULT,
        description="How the maps are made.",
        json_schema_extra={"enum": list(methods.CLOSED)},
    )
    pictures: bool = Field(
        False, description="Also the photo under each map, a JPEG as a data URI: true or false."
    )


class Labelled(Model):
    """A label and its calibrated probability."""

    label: str
    probability: float = Field(ge=0, le=1)


class Answer(Labelled):
    """A head's answer. Of category heads that are decoded together it may be another one than each
    head's most probable label."""

    top3: list[Labelled] = Field(description="The answer, then the most probable other labels.")


class Box(Model):
    """Where the photo lies inside the network's padded input, in pixels."""

    top: int
    left: int
    height: int
    width: int


class HeadMap(Model):
    """Where in the photo the evidence for a label lies."""

    attribute: str
    target: str = Field(description="The label that is explained.")
    against: str | None = Field(description="The label that it is compared with.")
    method: str
    layer: str
    unit: str
    evidence_for: float = Field(ge=0, description="Sum of the positive cells.")
    evidence_against: float = Field(le=0, description="Sum of the negative cells.")
    heatmap: list[list[float]] = Field(description="Raw cells, rows from top to bottom.")
    box: Box
    picture: str | None = Field(
        None, description="With pictures=true: a JPEG as a data URI.", pattern="^data:image/jpeg"
    )


class Similar(Model):
    """A product of the training catalogue that the photo resembles."""

    id: str = Field(description="In the catalogue that the bundle was trained on.")
    similarity: float = Field(ge=-1.001, le=1.001, description="Cosine of the embeddings.")
    labels: dict[str, str | None] = Field(description="Attribute to its label there.")


class Health(Model):
    """That the server answers, and with which model."""

    status: str
    model: str = Field(description="SHA-256 of the model's file.")
    provider: str = Field(description="What the network runs on.")
    waiting: int = Field(ge=0, description="Photos before the network.")
    seconds_up: float


class Refusal(Model):
    """Why nothing is answered, in a sentence."""

    error: str
    detail: str | None = None


def replies(attributes: Sequence[str]) -> tuple[type[BaseModel], type[BaseModel]]:
    """The replies of ``/api/predict`` and ``/api/explain`` with a bundle of these heads."""
    answers: dict[str, Any] = {a: (Answer, ...) for a in attributes}
    sure = Field(description="Whether the photo shows one product; null: this bundle cannot tell.")
    answers["one_product"] = (bool | None, sure)
    maps = create_model("Maps", __base__=Model, **{a: (HeadMap, ...) for a in attributes})  # type: ignore[call-overload]
    nearest = Field(description="Most similar first; empty where the bundle has no products.")
    predict = create_model("Predictions", __base__=Model, **answers)
    explain = create_model(
        "Explanations", __base__=predict, maps=(maps, ...), similar=(list[Similar], nearest)
    )
    return predict, explain


PHOTO: dict[str, Any] = {
    "description": "A photo, as the body or as the file of a form.",
    "required": True,
    "content": {
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["photo"],
                "properties": {"photo": {"type": "string", "format": "binary"}},
            }
        },
    },
}

REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"model": Refusal, "description": "No photo that can be read, or a wrong parameter."},
    401: {"model": Refusal, "description": "The server asks for a log-in."},
    408: {"model": Refusal, "description": "The photo came too slowly."},
    413: {"model": Refusal, "description": "The body is too large."},
    429: {"model": Refusal, "description": "Too many requests from one address; see Retry-After."},
    503: {"model": Refusal, "description": "Too many photos are waiting; see Retry-After."},
}


def openapi(attributes: Sequence[str]) -> dict[str, Any]:
    """The OpenAPI schema of a server whose bundle has these heads, as FastAPI writes it.

    The routes below exist for it alone: the server's own stream the body and end it at its cap.
    """
    predictions, explanations = replies(attributes)
    app = FastAPI(
        title="fashion_xai",
        version=__version__,
        description="Six attributes of a fashion photo, and where the evidence for each lies.",
    )
    photo: dict[str, Any] = {"responses": REFUSED, "openapi_extra": {"requestBody": PHOTO}}

    @app.post("/api/predict", response_model=predictions, operation_id="predict", **photo)
    def predict():
        """Predict the attributes of a photo."""

    @app.post("/api/explain", response_model=explanations, operation_id="explain", **photo)
    def explain(query: Annotated[ExplainQuery, Query()]):
        """Predict the attributes of a photo and explain each answer, from one forward pass."""

    @app.get("/health", response_model=Health, operation_id="health")
    def health():
        """Whether the server answers."""

    schema = app.openapi()
    for path in schema["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)  # FastAPI's own; here it is 400
    for name in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(name, None)
    return schema
