"""What do the receivers of the action group get when a rule fires?

The common alert schema of Azure (https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-common-schema), with the
values that infra/azure/alerts.bicep gives to the rule.
"""

from collections.abc import Mapping
from typing import Any


def alarm_payload(rule: Mapping[str, Any], *, name: str, workspace: str, value: float) -> dict[str, Any]:
    """Render the payload of a rule of alerts.json; `name` is what the names of the deployment begin with."""
    condition = {
        "searchQuery": rule["query"],
        "metricMeasureColumn": "value",
        "operator": "GreaterThan",
        "threshold": str(rule["threshold"]),
        "timeAggregation": "Maximum",
        "metricValue": value,
    }
    return {
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {
            "essentials": {
                "alertRule": f"{name}: {rule['name']}",
                "severity": f"Sev{rule['severity']}",
                "signalType": "Log",
                "monitorCondition": "Fired",
                "monitoringService": "Log Alerts V2",
                "alertTargetIDs": [workspace],
                "description": f"docs/operations.md, Alarms: {rule['runbook']}",
            },
            "alertContext": {
                "conditionType": "LogQueryCriteria",
                "condition": {"windowSize": f"PT{rule['minutes']}M", "allOf": [condition]},
            },
        },
    }
