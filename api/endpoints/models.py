"""Which models can a caller choose?"""

from azurefunctions.extensions.http.fastapi import Request, Response

from api.http.authentication import Authenticator, owner_of
from api.http.errors import json_answer
from api.rendering.response import Json
from domain.content.capabilities import Capability
from domain.errors import NotFound
from domain.fleet.catalog import AUTO, Fleet

OWNED_BY = "ganglion"


class Models:
    """The HTTP functions of models: `auto`, each served model, and each model on one backend."""

    def __init__(self, *, authenticator: Authenticator, fleet: Fleet) -> None:
        self.authenticator = authenticator
        self.fleet = fleet

    async def list(self, req: Request) -> Response:
        """`GET /v1/models`"""
        await owner_of(req, self.authenticator)
        return json_answer({"object": "list", "data": [self.model(name) for name in model_names(self.fleet)]})

    async def retrieve(self, req: Request) -> Response:
        """`GET /v1/models/{model}`"""
        return json_answer(self.model(await self.model_name(req)))

    def model(self, name: str) -> Json:
        """Return a model with what it can do; `auto` can do what any served model can."""
        served = {each.name: each.capabilities for each in self.fleet.served_models()}
        able = served.get(name.partition("@")[0], frozenset[Capability]().union(*served.values()))
        return model_object(name) | {"capabilities": sorted(each.value for each in able)}

    async def delete(self, req: Request) -> Response:
        """`DELETE /v1/models/{model}`: models belong to the operator; the answer says that nothing was deleted."""
        return json_answer({"id": await self.model_name(req), "object": "model", "deleted": False})

    async def model_name(self, req: Request) -> str:
        await owner_of(req, self.authenticator)
        name = str(req.path_params["model"])
        if name not in model_names(self.fleet):
            raise NotFound(f"The model '{name}' does not exist.")
        return name


def model_names(fleet: Fleet) -> tuple[str, ...]:
    served = [model.name for model in fleet.served_models()]
    pinned = [f"{backend.model}@{backend.name}" for backend in fleet.backends.values()]
    return (AUTO, *served, *pinned)


def model_object(name: str) -> Json:
    """Return OpenAI's model object; it requires `created`, which is unknown here."""
    return {"id": name, "object": "model", "created": 0, "owned_by": OWNED_BY}
