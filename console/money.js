// What was spent, on what, and how much is left?

import { html, useState } from "./htm-preact.js";
import { Bar, Columns, day, dollars, ErrorNotice, Stale, Table, useApi } from "./parts.js";

const GROUPS = { day: "day", "day,backend": "day and backend", backend: "backend", model: "model", hour: "hour", cause: "cause", "day,cause": "day and cause" };

const AMOUNTS = [
  { title: "Attempts", number: true, of: (row) => row.attempts },
  { title: "Tokens in", number: true, of: (row) => row.input_tokens.toLocaleString() },
  { title: "Cached", number: true, of: (row) => row.cached_tokens.toLocaleString() },
  { title: "Tokens out", number: true, of: (row) => row.output_tokens.toLocaleString() },
  { title: "Backends", number: true, of: (row) => dollars(row.backends_usd) },
  { title: "Store", number: true, of: (row) => dollars(row.store_usd) },
  { title: "Functions", number: true, of: (row) => dollars(row.functions_usd) },
  { title: "In all", number: true, of: (row) => dollars(row.cost_usd) },
];

const COST = AMOUNTS.slice(-1);

const BUDGET_COLUMNS = [
  { title: "Budget", of: (budget) => budget.id.split("_").reverse().join(" of the ") },
  { title: "Spent", number: true, of: (budget) => dollars(budget.spent_usd) },
  { title: "Held", number: true, of: (budget) => dollars(budget.held_usd) },
  { title: "Left", number: true, of: (budget) => (budget.left_usd === null ? "no limit" : dollars(budget.left_usd)) },
  { title: "Used", of: (budget) => budget.limit_usd && html`<${Bar} label=${budget.id} parts=${usedParts(budget)} />` },
  { title: "Forecast", number: true, of: (budget) => dollars(budget.forecast_usd) },
  { title: "Projected", number: true, of: (budget) => dollars(budget.projected_usd) },
  { title: "Resets", of: (budget) => day(budget.resets_at) },
];

function usedParts(budget) {
  return [
    { name: "spent", kind: "running", value: Number(budget.spent_usd) },
    { name: "held", kind: "held", value: Number(budget.held_usd) },
    { name: "left", kind: "left", value: Number(budget.left_usd ?? 0) },
  ];
}

export default function Money() {
  const [by, setBy] = useState("day");
  const usage = useApi("/v1/usage", { group_by: by, limit: 100 });
  const budgets = useApi("/v1/budgets");
  const groups = by.split(",").map((name) => ({ title: name, of: (row) => row[name] }));
  const rows = usage.data?.data ?? [];
  return html`
    <h1>Money</h1>
    <${Stale} of=${usage} />
    <section class="card">
      <h2>Budgets</h2>
      <${ErrorNotice} error=${budgets.error} />
      ${budgets.data && html`<${Table} caption="Budgets that count you" columns=${BUDGET_COLUMNS} rows=${budgets.data.data} empty="No budget counts you." />`}
    </section>
    <section class="card">
      <h2>Usage</h2>
      <p><label>By <select value=${by} onChange=${(event) => setBy(event.target.value)}>
        ${Object.entries(GROUPS).map(([value, name]) => html`<option value=${value}>${name}</option>`)}
      </select></label></p>
      <${ErrorNotice} error=${usage.error} />
      ${rows.length > 1 && html`<${Columns} label="Spend by group" rows=${rows} value=${(row) => Number(row.cost_usd)} name=${(row) => row.id} />`}
      ${usage.data && html`<${Table} caption="Usage" columns=${[...groups, ...(by.includes("cause") ? COST : AMOUNTS)]} rows=${rows} empty="Nothing was used in the last days." />`}
      <p class="hint">Your own usage; with the role Usage.Read, that of the whole tenant.</p>
    </section>
  `;
}
