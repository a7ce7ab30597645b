"""How does the answer of a pipeline get to its webhook, its queue or its container?"""

import asyncio
import json
from typing import Any, Final

from clients.azure_storage.port import AnswerStorage
from clients.webhooks.sender import DEADLINE_S, DeliveryReceipt, DeliveryResult, WebhookSender, retry_later
from domain.content.items import ItemKind
from domain.errors import GanglionError, NotFound
from domain.pipelines.pipeline import SinkKind
from domain.turns.webhook_events import WebhookDelivery, WebhookEndpoint
from state.turns.responses import TurnStore

MESSAGE_BYTES: Final = 48_000
"""A message of a queue has at most 64 KiB, in base64."""

DELETED: Final = "its response was deleted"


class AnswerSinks:
    """Tries deliveries. A repeated one has the same key: the `id` in the message, or the name of the blob."""

    def __init__(self, webhooks: WebhookSender, storage: AnswerStorage, turns: TurnStore) -> None:
        self.webhooks = webhooks
        self.storage = storage
        self.turns = turns

    async def send(self, endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> DeliveryReceipt:
        """Try one delivery, within the deadline."""
        if endpoint.kind is SinkKind.WEBHOOK:
            return await self.webhooks.send(endpoint, delivery)
        try:
            async with asyncio.timeout(DEADLINE_S):
                await self.put(endpoint, delivery)
        except TimeoutError:
            return retry_later("it did not answer in time")
        except NotFound:
            return DeliveryReceipt(result=DeliveryResult.REFUSED, reason=DELETED)
        except GanglionError as error:
            return retry_later(str(error))
        return DeliveryReceipt(result=DeliveryResult.DELIVERED)

    async def put(self, endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> None:
        event: dict[str, Any] = json.loads(delivery.body)
        text = await self.answer(delivery)
        whole = with_text(event, text)
        if endpoint.kind is SinkKind.BLOB:
            name = f"{event['data']['pipeline']}/{delivery.id}.json"
            await self.storage.put_blob(endpoint.url, name, whole.encode())
            return
        fits = len(whole.encode()) <= MESSAGE_BYTES
        await self.storage.put_message(endpoint.url, whole if fits else with_text(event, None))

    async def answer(self, delivery: WebhookDelivery) -> str:
        """Return the text that a turn has answered; raises NotFound where it was deleted."""
        ended = await self.turns.read(delivery.owner, delivery.response)
        items = await self.turns.items(delivery.owner, ended.progress.output_items)
        return "\n".join(each.text for each in items if each.kind is ItemKind.MESSAGE and each.text)


def with_text(event: dict[str, Any], text: str | None) -> str:
    """Return an event with the answer as its text; None is for an answer that is too long."""
    return json.dumps({**event, "data": {**event["data"], "text": text}}, ensure_ascii=False, separators=(",", ":"))
