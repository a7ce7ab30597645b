// What was spent, on what, and how much is left?

import { html, useState } from "./htm-preact.js";
import { download, serverNow } from "./api.js";
import { Bar, day, dollars, ErrorNotice, Facts, Legend, ReadAt, Reading, Stale, Table, Tiles, useApi } from "./parts.js";
import { Curves, Month, Stacked } from "./plots.js";

const SLOWLY = { every: 90_000 };

const GROUPS = { day: "day", "day,backend": "day and backend", backend: "backend", model: "model", owner: "person or application", hour: "hour", cause: "cause", "day,cause": "day and cause" };

/** The colours of the causes, from the top of a column to its bottom: first those of GPU sessions, which may still change. */
const CAUSES = { idle: "idle", start: "start", running: "running", unused_warm_up: "waiting", tokens: "tokens", tools: "tools", held: "held", lost: "lost", store: "store", functions: "functions" };

const AMOUNTS = [
  { title: "Attempts", number: true, of: (row) => row.attempts },
  { title: "Tokens in", number: true, of: (row) => row.input_tokens.toLocaleString() },
  { title: "Cached", number: true, of: (row) => row.cached_tokens.toLocaleString() },
  { title: "Tokens out", number: true, of: (row) => row.output_tokens.toLocaleString() },
  { title: "Backends", number: true, of: (row) => dollars(row.backends_usd) },
  { title: "Store", number: true, of: (row) => dollars(row.store_usd) },
  { title: "Functions", number: true, of: (row) => dollars(row.functions_usd) },
  { title: "Provisional", number: true, of: (row) => (Number(row.provisional_usd) ? html`<span class="provisional">${dollars(row.provisional_usd)}</span>` : "–") },
  { title: "In all", number: true, of: (row) => dollars(row.cost_usd) },
];

const COST = AMOUNTS.slice(-1);

const BUDGET_COLUMNS = [
  { title: "Budget", of: (budget) => budget.id.split("_").reverse().join(" of the ") },
  { title: "Spent", number: true, of: (budget) => dollars(budget.spent_usd) },
  { title: "Held", number: true, of: (budget) => dollars(budget.held_usd) },
  { title: "Left", number: true, of: (budget) => (budget.left_usd === null ? "no limit" : dollars(budget.left_usd)) },
  { title: "Used", of: (budget) => budget.limit_usd && html`<${Bar} label=${budget.id} parts=${usedParts(budget)} />` },
  { title: "Forecast", number: true, of: forecastOf },
  { title: "Projected", number: true, of: projectedOf },
  { title: "Resets", of: (budget) => day(budget.resets_at) },
];

function forecastOf(budget) {
  const reached = budget.forecast_percent_reached;
  if (!budget.forecast_usd) return "–";
  return html`${dollars(budget.forecast_usd)}${reached && html` <strong class=${reached >= 150 ? "late" : ""}>${reached} % reached</strong>`}`;
}

function projectedOf(budget) {
  if (!budget.projected_usd) return "–";
  const band = budget.projected_low_usd === budget.projected_high_usd ? "" : ` (${dollars(budget.projected_low_usd)} to ${dollars(budget.projected_high_usd)})`;
  return `${dollars(budget.projected_usd)}${band}`;
}

function usedParts(budget) {
  return [
    { name: "spent", kind: "running", value: Number(budget.spent_usd) },
    { name: "held", kind: "held", value: Number(budget.held_usd) },
    { name: "left", kind: "left", value: Number(budget.left_usd ?? 0) },
  ];
}

export default function Money() {
  const budgets = useApi("/v1/budgets", {}, SLOWLY);
  return html`<div>
    <h1>Money</h1>
    <${Stale} of=${budgets} />
    <${Spend} budgets=${budgets.data?.data ?? []} />
    <section class="card">
      <h2>Budgets</h2>
      <${ErrorNotice} error=${budgets.error} />
      <${Reading} of=${budgets} />
      ${budgets.data && html`<${Table} caption="Budgets that count you" columns=${BUDGET_COLUMNS} rows=${budgets.data.data} empty="No budget counts you." />`}
    </section>
    <${Usage} />
    <${ReadAt} of=${budgets} />
  </div>`;
}

/** The last days by cause, and the month as it adds up, against the budget of those whose spend it is, and the forecast. */
function Spend({ budgets }) {
  const usage = useApi("/v1/usage", { group_by: "day,cause", limit: 100, order: "desc" }, SLOWLY);
  const scope = usage.data?.scope ?? "owner";
  const budget = budgets.find((each) => each.id === `${scope}_month`);
  const month = budget?.period ?? new Date(serverNow() * 1000).toISOString().slice(0, 7);
  const days = useApi("/v1/usage", { group_by: "day", from: `${month}-01`, limit: 100 }, SLOWLY);
  const rows = wholeDays(usage.data);
  const error = usage.error ?? days.error;
  if (!usage.data || !days.data) {
    return html`<section class="card"><h2>Spend by day and cause</h2><${ErrorNotice} error=${error} /><${Reading} of=${{ ...usage, error }} /></section>`;
  }
  if (!rows.length) return scope === "tenant" && html`<${Economics} />`;
  const whole = sum(rows);
  const idle = sum(rows.filter((row) => row.cause === "idle" || row.cause === "unused_warm_up"));
  const provisional = Object.fromEntries(days.data.data.map((row) => [row.day, Number(row.provisional_usd)]));
  const open = Object.values(provisional).reduce((total, each) => total + each, 0);
  const ofMonth = sum(days.data.data);
  const today = new Date(serverNow() * 1000).toISOString().slice(0, 10);
  const kinds = [...new Set(rows.map((row) => CAUSES[row.cause] ?? "tools"))];
  return html`<${Tiles} tiles=${[
    ["Today", dollars(sum(rows.filter((row) => row.day === today))), "UTC"],
    ["This month", dollars(ofMonth), scope === "tenant" ? "of your tenant" : "yours"],
    ["Idle share", `${Math.round((100 * idle) / whole)} %`, `${dollars(idle)} of ${dollars(whole)} in the days shown`, idle > whole / 2 ? "late" : ""],
    ["Provisional", dollars(open), open ? "may still change" : "every bill is final", open ? "provisional" : ""],
  ]} />
  <section class="card">
    <h2>Spend by day and cause</h2>
    <${ErrorNotice} error=${error} />
    <${Stacked} rows=${rows} kinds=${CAUSES} provisional=${provisional} />
    <${Legend} kinds=${[...kinds, ...(open ? ["open"] : [])]} names=${{ ...Object.fromEntries(Object.entries(CAUSES).map(([name, kind]) => [kind, name.replaceAll("_", " ")])), open: "provisional" }} />
    <${Month} rows=${days.data?.data ?? []} month=${month} budget=${budget} today=${budgets.find((each) => each.id === `${scope}_day`)} />
  </section>
  ${scope === "tenant" && html`<${Economics} />`}`;
}

/** Return the rows of the days of which the page has all rows: the last day of a page that is full may go on. */
export function wholeDays(page) {
  const rows = page?.data ?? [];
  const cut = page?.has_more ? rows.at(-1).day : "";
  return rows.filter((row) => row.day !== cut);
}

function sum(rows) {
  return rows.reduce((total, row) => total + Number(row.cost_usd), 0);
}

function Usage() {
  const [by, setBy] = useState("day,cause");
  const [problem, setProblem] = useState(null);
  const usage = useApi("/v1/usage", { group_by: by, limit: 100, order: "desc" }, SLOWLY);
  const groups = by.split(",").map((name) => ({ title: name[0].toUpperCase() + name.slice(1), of: (row) => (name === "backend" && row.removed ? `${row[name]} (removed)` : row[name]) }));
  const rows = usage.data?.data ?? [];
  const save = (format) => () => download("/v1/usage", { group_by: by, format }, `usage-${format}.csv`).catch(setProblem);
  return html`<section class="card">
    <h2>Usage</h2>
    <p><label>By <select value=${by} onChange=${(event) => setBy(event.target.value)}>
      ${Object.entries(GROUPS).map(([value, name]) => html`<option key=${value} value=${value}>${name}</option>`)}
    </select></label> <button class="quiet" onClick=${save("csv")}>Save as CSV</button> <button class="quiet" onClick=${save("focus")}>Save as FOCUS</button></p>
    <${ErrorNotice} error=${problem ?? usage.error} />
    <${Reading} of=${usage} />
    ${usage.data && html`<${Table} tall=${rows.length > 20} caption="Usage" columns=${[...groups, shareOf(rows), ...(by.includes("cause") ? COST : AMOUNTS)]} rows=${rows} empty="Nothing was used in the last days." />`}
    ${usage.data?.has_more && html`<p class="hint">The last ${rows.length} rows are shown. A saved file has all of them.</p>`}
    <p class="hint">Your own usage; with the role Usage.Read, that of the whole tenant.</p>
  </section>`;
}

/** A bar of each row on one scale: the amounts of the table as a plot. */
function shareOf(rows) {
  const dearest = Math.max(...rows.map((row) => Number(row.cost_usd)));
  const partsOf = (row) => {
    if (row.cause) return [{ name: row.cause, kind: CAUSES[row.cause] ?? "tools", value: Number(row.cost_usd) }];
    const open = Math.min(Number(row.provisional_usd ?? 0), Number(row.cost_usd));
    return [{ name: "final", kind: "tokens", value: Number(row.cost_usd) - open }, { name: "provisional", kind: "tokens", open: true, value: open }];
  };
  return { title: "Share", of: (row) => html`<${Bar} label=${row.id} whole=${dearest} parts=${partsOf(row)} />` };
}

const WAYS = [
  { title: "Way to serve", wrap: true, of: (way) => way.name },
  { title: "These requests", number: true, of: (way) => dollars(way.usd) },
  { title: "A month at this rate", number: true, of: (way) => dollars(way.month) },
];

/** What the same requests would cost elsewhere, as `python -m benches.economics --publish` found last. */
function Economics() {
  const run = useApi("/v1/economics", {}, { poll: false });
  const report = run.data?.report;
  if (!run.data) return html`<${ErrorNotice} error=${run.error} /><${Reading} of=${run} />`;
  return html`<section class="card">
    <h2>Ways to serve</h2>
    ${report
      ? html`<${Comparison} report=${report} at=${run.data.published_at} />`
      : html`<p class="notice">Nothing has been published yet. An operator compares an API, rented GPUs and owned hardware with <code>python -m benches.economics --publish</code>.</p>`}
  </section>`;
}

function monthOf(ways) {
  const dearest = Math.max(...ways.map((way) => Number(way.month)));
  return { title: "A month of each way", of: (way) => html`<${Bar} label=${way.name} whole=${dearest} parts=${[{ name: "a month", kind: "tokens", value: Number(way.month) }]} />` };
}

function Comparison({ report, at }) {
  const ways = Object.entries(report.usd).map(([name, usd]) => ({ name, usd, month: report.usd_a_month[name] }));
  const even = report.break_even;
  const mix = [...report.cheapest_mix.gpus, "API"].join(" + ");
  return html`<p>The cheapest way for these requests: <strong>${report.cheapest}</strong>.</p>
    <${Table} caption=${`${report.requests.toLocaleString()} requests in ${Number(report.hours).toFixed(1)} hours`} columns=${[WAYS[0], monthOf(ways), ...WAYS.slice(1)]} rows=${ways} empty="" />
    ${report.gpu_hour_usd && html`<${BreakEven} report=${report} /><${Owning} report=${report} /><${Mixes} mixes=${report.mixes} />`}
    <${Facts} facts=${[
      ["Break-even of API and GPU", `${Number(even.requests_an_hour).toFixed(0)} requests an hour, ${Math.round(100 * even.utilisation)} % in use${even.within_one_gpu ? "" : "; one GPU cannot serve so many"}`],
      ["Owning pays in", report.owning_pays_in_month === null ? "no month" : `month ${report.owning_pays_in_month}`],
      ["Cheapest mix", `${mix}, ${dollars(report.cheapest_mix.usd)}`],
      ...report.prices.map((price) => [price.name, `${price.source}, ${price.date}`]),
    ]} />
    <p class="hint">Published ${day(at)}, from ${report.inputs.requests}. Owned hardware is counted without its purchase.</p>`;
}

/** Dollars of an hour by its requests: those of the API rise, those of a GPU that is up do not. */
function BreakEven({ report }) {
  const even = Number(report.break_even.requests_an_hour);
  const hour = Number(report.gpu_hour_usd);
  const curves = { "API alone": [[0, 0], [2 * even, 2 * hour]], "GPU always on": [[0, hour], [2 * even, hour]] };
  return html`<${Curves} label=${`Break-even at ${even.toFixed(0)} requests an hour: dollars of an hour`} curves=${curves} mark=${even} below=${(x) => `${x.toFixed(0)} requests an hour`} />`;
}

/** Dollars until each month of owned hardware and of the cheapest other way. */
function Owning({ report }) {
  const month = report.owning_pays_in_month;
  const most = month ? 2 * month : 24;
  const [bought, kept, other] = [report.owned.purchase_usd, report.owned.month_usd, report.usd_a_month[report.cheapest]].map(Number);
  const curves = { [report.cheapest]: [[0, 0], [most, most * other]], "owned hardware": [[0, bought], [most, bought + most * kept]] };
  return html`<${Curves} label=${month ? `Owning pays in month ${month}: dollars until then` : "Owning never pays: dollars until then"} curves=${curves} mark=${month ?? 0} below=${(x) => `month ${x.toFixed(0)}`} />`;
}

function Mixes({ mixes }) {
  const dearest = Math.max(...mixes.map((mix) => Number(mix.usd)));
  const columns = [
    { title: "Mix", of: (mix) => [...mix.gpus, "API"].join(" + ") },
    { title: "On one scale", of: (mix) => html`<${Bar} label=${[...mix.gpus, "API"].join(" + ")} whole=${dearest} parts=${[{ name: "cost", kind: "tokens", value: Number(mix.usd) }]} />` },
    { title: "These requests", number: true, of: (mix) => dollars(mix.usd) },
  ];
  return html`<${Table} caption="Mixes of GPU types beside the API, the cheapest first" columns=${columns} rows=${mixes} empty="" />`;
}
