"""What do the given queries give over the given rows of AppMetrics? JSON in and out."""

import json
import sys
from typing import Any

import duckdb_kql

TABLE = """
CREATE TABLE AppMetrics (TimeGenerated TIMESTAMP, Name VARCHAR, Sum DOUBLE, Min DOUBLE, Max DOUBLE, ItemCount INTEGER,
    AppRoleName VARCHAR, Properties JSON)
"""
ROW = "INSERT INTO AppMetrics VALUES ((now() AT TIME ZONE 'UTC') - to_seconds(?), ?, ?, ?, ?, ?, 'ganglion', ?)"


def main(given: dict[str, Any]) -> None:
    connection = duckdb_kql.connect()
    connection.execute(TABLE)
    for row in given["rows"]:
        values = [row[name] for name in ("age_s", "name", "sum", "min", "max", "count")]
        connection.execute(ROW, [*values, json.dumps(row["properties"])])
    found = {name: duckdb_kql.query(connection, query).fetchall() for name, query in given["queries"].items()}
    json.dump(found, sys.stdout, default=str)


main(json.load(sys.stdin))
