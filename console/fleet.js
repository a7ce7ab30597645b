// What does each backend do now, and what does its GPU session cost?

import { html, useState } from "./htm-preact.js";
import { post } from "./api.js";
import { Lanes } from "./lanes.js";
import { ago, clock, day, dollars, ErrorNotice, Facts, ReadAt, Reading, seconds, Stale, Status, Table, useApi } from "./parts.js";

export default function Fleet() {
  const fleet = useApi("/v1/fleet");
  return html`<div>
    <h1>Fleet</h1>
    <${ErrorNotice} error=${fleet.error} />
    <${Reading} of=${fleet} />
    <${Stale} of=${fleet} />
    ${fleet.data && html`<${Lanes} fleet=${{ ...fleet.data, at: fleet.at }} />`}
    ${fleet.data?.today_usd && html`<${Today} causes=${fleet.data.today_usd} />`}
    ${fleet.data?.data.map((backend) => html`<${Backend} key=${backend.id} backend=${backend} again=${fleet.again} />`)}
    <${ReadAt} of=${fleet} />
  </div>`;
}

const TODAY_COLUMNS = [
  { title: "Cause", of: ([cause]) => cause.replaceAll("_", " ") },
  { title: "Today", number: true, of: ([, amount]) => dollars(amount) },
];

/** What the tenant's day has cost so far. */
function Today({ causes }) {
  const rows = Object.entries(causes);
  const whole = rows.reduce((sum, [, amount]) => sum + Number(amount), 0);
  return html`<section class="card">
    <h2>Today: ${dollars(whole)}</h2>
    <${Table} caption="Your tenant's day by cause, in UTC" columns=${TODAY_COLUMNS} rows=${rows} empty="Nothing was spent today." />
  </section>`;
}

function Backend({ backend, again }) {
  const { start, session } = backend;
  return html`<section class="card">
    <h2>${backend.id} <${Status} value=${backend.status} /></h2>
    ${backend.obstacle && html`<p class="notice error">No request goes here until ${clock(backend.obstacle.until)}: ${backend.obstacle.reason.replaceAll("_", " ")}.</p>`}
    ${start?.failed_warm_up && html`<p class="notice error">A warm-up failed ${ago(start.failed_warm_up.at)}: ${start.failed_warm_up.reason}.${start.failed_warm_up.grant && ` It needs ${start.failed_warm_up.grant}.`}</p>`}
    <${Facts} facts=${[
      ["Model", backend.model],
      ["System", `${backend.system}, ${backend.region}`],
      ["Requests", `${backend.running} running, ${backend.queued} queued, room for ${backend.concurrency}`],
      ["Warm until", start ? (start.warm_until ? clock(start.warm_until) : "–") : undefined],
      ["Starting", start?.since ? `since ${ago(start.since)}` : undefined],
      ["Learned start", start ? `${seconds(start.p50_s)} median, ${seconds(start.p99_s)} p99, ${start.samples} seen` : undefined],
      ["Speed", backend.speed ? `${Math.round(backend.speed.decode_tokens_s)} tokens/s out` : "–"],
    ]} />
    ${backend.status === "asleep" && html`<${WarmUp} backend=${backend} again=${again} />`}
    ${backend.rule && html`<${Investment} start=${start} rule=${backend.rule} />`}
    ${session ? html`<${Session} session=${session} />` : start && html`<p class="hint">No GPU session is open.</p>`}
  </section>`;
}

/** Start a backend after a look at the cost: the first click asks, the second one starts. */
function WarmUp({ backend, again }) {
  const [asked, setAsked] = useState(false);
  const [error, setError] = useState(null);
  const start = async () => {
    setAsked(false);
    await post(`/v1/fleet/${encodeURIComponent(backend.id)}/warm_up`).then(again, setError);
  };
  return html`<${ErrorNotice} error=${error} />
    ${asked
      ? html`<p class="notice">A warm-up that no turn uses costs you ${dollars(backend.start.worst_warm_up_usd)} at most: a start of up to ${seconds(backend.start.p99_s)} and the idle period.
          ${" "}<button onClick=${start}>Start ${backend.id}</button> <button class="quiet" onClick=${() => setAsked(false)}>Leave it asleep</button></p>`
      : html`<p><button class="quiet" onClick=${() => setAsked(true)}>Warm up</button></p>`}`;
}

const RIVALS = {
  adopted: "the rule in force",
  default: "the default rule",
  next: "the next best rule",
  never: "never a session",
  always: "a session for every turn",
};

/** When does a session pay? The rental spend of the window against the price of a session, and what rivals would cost. */
function Investment({ start, rule }) {
  const spent = Number(start.rental_spend_usd ?? 0);
  const price = Number(rule.buys_at_usd);
  const rivals = Object.entries(rule.would_have_cost_usd);
  const columns = [
    { title: "Rule", of: ([name]) => RIVALS[name] ?? name },
    { title: "Would have cost", number: true, of: ([, cost]) => dollars(cost) },
  ];
  return html`<h3>A session as an investment</h3>
    <p>
      Turns of the last ${seconds(start.rental_window_s)} paid ${dollars(spent)} elsewhere that this GPU would have saved. From
      ${" "}${dollars(price)} on, a session is bought; the GPU is kept up from ${dollars(rule.keeps_at_usd)} on.
    </p>
    <div class="bar" role="img" aria-label=${`${dollars(spent)} of ${dollars(price)}`}>
      <span class="part idle" style=${{ flexGrow: Math.min(spent, price) }}></span>
      <span class="part left" style=${{ flexGrow: Math.max(price - spent, 0) }}></span>
    </div>
    <p class="hint">${rule.reason}${rule.chosen_at ? `, chosen ${day(rule.chosen_at)} from ${rule.turns} turns` : ""}.</p>
    ${rivals.length > 0 && html`<${Table} caption="The demand of the last weeks under each rule" columns=${columns} rows=${rivals} empty="" />`}`;
}

function Session({ session }) {
  return html`<h3>Open GPU session</h3>
    <${Facts} facts=${[
      ["Started", clock(session.started_at)],
      ["Ready", session.ready_at ? clock(session.ready_at) : "still starting"],
      ["Ends at the earliest", session.ends_at ? clock(session.ends_at) : "–"],
      ["Cost so far", dollars(session.cost_usd)],
      ["Requests", `${session.members} in all, ${session.running.length + session.running_of_others} running`],
    ]} />`;
}
