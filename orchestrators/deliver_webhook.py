"""In what order is an endpoint told that a turn has ended?

notify → (wait → notify)…
"""

from datetime import timedelta

from domain import wire
from orchestrators.context import Context, Steps
from orchestrators.respond import step


def deliver_webhook(context: Context) -> Steps[wire.WebhookDeliveredWire]:
    """Try until the endpoint has it or the announcement is given up; waits are durable timers, which cost nothing."""
    given: wire.DeliverWebhookWire = context.get_input()
    while True:
        notified: wire.WebhookTriedWire = yield step(context, wire.DELIVER_WEBHOOK, given)
        if not notified["delay_s"]:
            return {"outcome": notified["outcome"]}
        yield context.create_timer(context.current_utc_datetime + timedelta(seconds=notified["delay_s"]))
