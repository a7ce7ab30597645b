// When had the alternatives cost as much as a GPU session, and what did each session earn or lose?

import { html } from "./htm-preact.js";
import { Bar, clock, day, dollars, ErrorNotice, ReadAt, Reading, seconds, Stale, Table, Tiles, useApi } from "./parts.js";
import { HEIGHT, Plot, timesBetween } from "./plots.js";

const FLEET = { every: 60_000 };
const REPORT = { every: 30_000 };
const SHORTEST_S = 900;

export default function Investment({ rest: [chosen] }) {
  const fleet = useApi("/v1/fleet", {}, FLEET);
  const gpus = fleet.data?.data.filter((backend) => backend.start) ?? [];
  const backend = gpus.find((each) => each.id === chosen) ?? gpus[0];
  const choose = (event) => (location.hash = `#/investment/${encodeURIComponent(event.target.value)}`);
  return html`<div>
    <h1>Investment</h1>
    <p class="lead">A GPU that sleeps is bought for one session when the alternatives have cost as much as the session.</p>
    <${ErrorNotice} error=${fleet.error} />
    <${Reading} of=${fleet} />
    <${Stale} of=${fleet} />
    ${fleet.data && !backend && html`<p class="notice">No backend of the fleet scales to zero, so there is no session to buy.</p>`}
    ${gpus.length > 1 && html`<p><label>Backend <select value=${backend.id} onChange=${choose}>${gpus.map((each) => html`<option key=${each.id} value=${each.id}>${each.id}</option>`)}</select></label></p>`}
    ${backend && html`<${Report} key=${backend.id} backend=${backend} />`}
  </div>`;
}

function Report({ backend }) {
  const report = useApi(`/v1/fleet/${encodeURIComponent(backend.id)}/investment`, {}, REPORT);
  return html`<${ErrorNotice} error=${report.error} />
    <${Reading} of=${report} />
    ${report.data && html`<${Figures} report=${report.data} backend=${backend} />
      <${Spend} report=${report.data} name=${backend.id} />
      <${Sessions} report=${report.data} backend=${backend} />`}
    <${RuleInForce} rule=${backend.rule} />
    <${ReadAt} of=${report} />`;
}

function sum(values) {
  return values.reduce((total, each) => total + Number(each), 0);
}

/** Return whether a session that is over answered nothing. */
function isUnused(backend, session) {
  return backend.sessions.some((each) => each.started_at === session.started_at && !each.served);
}

function Figures({ report, backend }) {
  const unused = report.sessions.filter((each) => isUnused(backend, each));
  const compared = report.sessions.filter((each) => each.earned_usd !== null);
  const earned = sum(compared.map((each) => each.earned_usd));
  return html`<${Tiles} tiles=${[
    ["Spent elsewhere now", dollars(backend.start.rental_spend_usd), `in the last ${seconds(report.window_s)}`],
    ["Buys a session at", dollars(report.buys_at_usd), `a session costs ${dollars(report.session_price_usd)}`],
    ["Sessions of the last day", compared.length ? signed(earned) : "–", compared.length ? `${compared.length} compared with elsewhere` : "none compared with elsewhere", compared.length ? (earned < 0 ? "late" : "good") : ""],
    ["Never paid", unused.length, unused.length ? `${dollars(sum(unused.map((each) => each.cost_usd)))} for no answer` : "every start was used", unused.length ? "late" : ""],
  ]} />`;
}

function signed(amount) {
  return `${amount < 0 ? "−" : "+"}${dollars(Math.abs(amount))}`;
}

const POINTS = [
  { title: "At", of: (each) => day(each.at) },
  { title: "Saved in these seconds", number: true, of: (each) => dollars(each.saved_usd) },
  { title: "Spent in the window", number: true, of: (each) => dollars(each.spent_usd) },
  { title: "Crossing", of: (each) => (each.crossed ? html`<strong>reached the price</strong>` : "") },
];

/** The rental spend as steps, the price as a line, each crossing as a mark, and the sessions behind it. */
function Spend({ report, name }) {
  const { spend, sessions, at } = report;
  const first = Math.min(at - SHORTEST_S, ...spend.map((each) => each.at), ...sessions.map((each) => each.started_at));
  const x = (time) => (100 * (time - first)) / (at - first);
  const price = Number(report.buys_at_usd);
  const highest = Math.max(price * 1.1, ...spend.map((each) => Number(each.spent_usd)));
  const draw = (top) => {
    const y = (value) => HEIGHT * (1 - Number(value) / top);
    return html`${sessions.map((each) => html`<rect class="session" x=${x(each.started_at)} width=${Math.max(0.2, x(each.ended_at) - x(each.started_at))} y="0" height=${HEIGHT}><title>session from ${clock(each.started_at)} to ${clock(each.ended_at)}</title></rect>`)}
      <polyline class="line-limit" points=${`0,${y(price)} 100,${y(price)}`} />
      <polyline class="line-spent" points=${stepsOf(spend, report, first).map(([time, value]) => `${x(time)},${y(value)}`).join(" ")} />
      ${report.crossed_at.map((time) => html`<rect class="crossing" x=${x(time) - 0.2} width="0.4" y="0" height=${HEIGHT}><title>reached the price at ${clock(time)}</title></rect>`)}`;
  };
  const said = `Spent elsewhere on what ${name} would have saved, at most ${dollars(highest)}; a session is bought at ${dollars(price)}, reached ${report.crossed_at.length} times`;
  const rows = spend.map((each) => ({ ...each, crossed: report.crossed_at.includes(each.at) })).reverse().slice(0, 60);
  return html`<section class="card">
    <h2>Spend elsewhere against the price of a session</h2>
    <${Plot} label=${said} highest=${highest} below=${timesBetween(first, at)} draw=${draw} />
    <p class="legend"><span><i class="stroke spent"></i>spent elsewhere in the window</span><span><i class="stroke limit"></i>a session is bought</span>
      <span><i class="part crossing"></i>the price was reached</span><span><i class="part session"></i>a session</span></p>
    <details><summary>The amounts of the plot</summary>
      <${Table} tall=${rows.length > 20} caption=${`Demand in parts of ${report.part_s} s, newest first`} columns=${POINTS} rows=${rows} empty="No turn of the last day had this GPU and an alternative." /></details>
  </section>`;
}

/** Return the corners of the spend: it stays until the next part, and is nothing after a pause of a window. */
function stepsOf(spend, report, first) {
  const corners = [[first, 0]];
  spend.forEach((each, index) => {
    const next = Math.min(spend[index + 1]?.at ?? report.at, each.at + report.window_s, report.at);
    corners.push([each.at, corners.at(-1)[1]], [each.at, each.spent_usd], [next, each.spent_usd]);
    if ((spend[index + 1]?.at ?? report.at) > next) corners.push([next, 0]);
  });
  return [...corners, [report.at, corners.at(-1)[1]]];
}

function Sessions({ report, backend }) {
  const columns = [
    { title: "Started", of: (each) => day(each.started_at) },
    { title: "Price reached", of: (each) => (each.crossed_at ? clock(each.crossed_at) : "not before it") },
    { title: "Cost", number: true, of: (each) => dollars(each.cost_usd) },
    { title: "Elsewhere", number: true, of: (each) => (each.elsewhere_usd === null ? "–" : dollars(each.elsewhere_usd)) },
    { title: "Earned", number: true, of: (each) => (each.earned_usd === null ? "–" : html`<strong class=${Number(each.earned_usd) < 0 ? "late" : "good"}>${signed(Number(each.earned_usd))}</strong>`) },
    { title: "Note", wrap: true, of: (each) => (isUnused(backend, each) ? html`<strong class="late">a warm-up that never paid: no turn used it</strong>` : [each.ended_at === report.at && "still up", each.earned_usd === null && "no turn in it had an alternative"].filter(Boolean).join("; ")) },
  ];
  return html`<section class="card">
    <h2>What each session earned</h2>
    <${Table} caption="Sessions of the last day against answering elsewhere, newest first" columns=${columns} rows=${report.sessions.toReversed()} empty="No session in the last day." />
    <p class="hint">Elsewhere is what the router's best alternative would have lost: its dollars, and the value of waiting for it. These amounts decide on warm-ups; the bills are under Money.</p>
  </section>`;
}

const RIVALS = {
  adopted: "the rule in force",
  default: "the default rule",
  next: "the next best rule",
  never: "never a session",
  always: "a session for every turn",
};

function RuleInForce({ rule }) {
  const rivals = Object.entries(rule.would_have_cost_usd).map(([name, cost]) => ({ name, cost: Number(cost) }));
  const dearest = Math.max(...rivals.map((each) => each.cost));
  const columns = [
    { title: "Rule", of: ({ name }) => RIVALS[name] ?? name },
    { title: "On one scale", of: ({ name, cost }) => html`<${Bar} label=${RIVALS[name] ?? name} whole=${dearest} parts=${[{ name: "cost", value: cost, kind: name === "adopted" ? "running" : "waiting" }]} />` },
    { title: "Would have cost", number: true, of: ({ cost }) => dollars(cost) },
  ];
  return html`<section class="card">
    <h2>The rule in force</h2>
    <p>A session is bought from ${dollars(rule.buys_at_usd)} on, and a GPU that is up is kept from ${dollars(rule.keeps_at_usd)} on, spent within ${seconds(rule.window_s)}.</p>
    <p class="hint">${rule.chosen_at ? `Chosen ${day(rule.chosen_at)} from ${rule.turns} turns: ${rule.reason}.` : `Not recorded yet: ${rule.reason}.`}</p>
    ${rivals.length > 0 ? html`<${Table} caption="The demand of the last weeks under each rule" columns=${columns} rows=${rivals} empty="" />` : html`<p class="hint">Its rivals are compared once a day, when there are 200 turns of three days.</p>`}
  </section>`;
}
