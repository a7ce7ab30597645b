// What does each backend do now, and what does its GPU session cost?

import { html, useEffect, useRef, useState } from "./htm-preact.js";
import { post } from "./api.js";
import { Lanes } from "./lanes.js";
import { ago, clock, dollars, ErrorNotice, Facts, ReadAt, Reading, seconds, Stale, Status, Table, Tiles, useApi } from "./parts.js";

export default function Fleet() {
  const fleet = useApi("/v1/fleet");
  return html`<div>
    <h1>Fleet</h1>
    <${ErrorNotice} error=${fleet.error} />
    <${Reading} of=${fleet} />
    <${Stale} of=${fleet} />
    ${fleet.data && html`<${Figures} fleet=${fleet.data} />`}
    ${fleet.data && html`<${Lanes} fleet=${{ ...fleet.data, at: fleet.at }} />`}
    ${fleet.data && html`<section class="card"><h2>Backends</h2><${Table} caption="What each backend does now" columns=${BACKEND_COLUMNS} rows=${fleet.data.data} empty="The fleet has no backend." /></section>`}
    ${fleet.data?.data.filter((each) => each.start || each.obstacle).map((backend) => html`<${Backend} key=${backend.id} backend=${backend} again=${fleet.again} />`)}
    ${fleet.data?.today_usd && html`<${Today} causes=${fleet.data.today_usd} />`}
    <${ReadAt} of=${fleet} />
  </div>`;
}

/** The figures of the whole fleet. */
function Figures({ fleet }) {
  const gpus = fleet.data.filter((each) => each.start);
  const up = gpus.filter((each) => each.status === "warm").length;
  const starting = gpus.filter((each) => each.status === "starting").length;
  const sum = (values) => values.reduce((total, each) => total + each, 0);
  const open = sum(gpus.map((each) => Number(each.session?.cost_usd ?? 0)));
  return html`<${Tiles} tiles=${[
    ["GPUs up", gpus.length ? `${up} of ${gpus.length}` : "none sleeps", starting ? `${starting} starting` : ""],
    ["Requests", sum(fleet.data.map((each) => each.running)), `${sum(fleet.data.map((each) => each.queued))} queued`],
    ["Open sessions", dollars(open), "so far"],
    fleet.today_usd && ["Your tenant today", dollars(sum(Object.values(fleet.today_usd).map(Number))), "UTC"],
  ]} />`;
}

const BACKEND_COLUMNS = [
  { title: "Backend", of: (each) => html`<strong>${each.id}</strong>` },
  { title: "State", of: (each) => html`<${Status} value=${each.obstacle?.reason ?? each.status} />` },
  { title: "Model", of: (each) => each.model },
  { title: "System", of: (each) => `${each.system}, ${each.region}` },
  { title: "Running", number: true, of: (each) => `${each.running} of ${each.concurrency}` },
  { title: "Queued", number: true, of: (each) => each.queued },
  { title: "Tokens/s", number: true, of: (each) => (each.speed ? Math.round(each.speed.decode_tokens_s) : "–") },
  { title: "Start, median", number: true, of: (each) => (each.start ? seconds(each.start.p50_s) : "none") },
  { title: "Session so far", number: true, of: (each) => (each.session ? dollars(each.session.cost_usd) : "–") },
];

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
    ${start && html`<${Facts} facts=${[
      ["Warm until", start.warm_until && backend.status === "warm" ? clock(start.warm_until) : "–"],
      ["Starting", start.since ? `since ${ago(start.since)}` : undefined],
      ["Learned start", `${seconds(start.p50_s)} median, ${seconds(start.p99_s)} p99, ${start.samples} seen`],
      ["A warm-up that no turn uses", `${dollars(start.worst_warm_up_usd)} at most`],
    ]} />`}
    ${backend.status === "asleep" && html`<${WarmUp} backend=${backend} again=${again} />`}
    ${session ? html`<${Session} session=${session} />` : start && html`<p class="hint">No GPU session is open.</p>`}
    ${start && html`<p><a href=${`#/investment/${encodeURIComponent(backend.id)}`}>Do its sessions pay?</a></p>`}
  </section>`;
}

/**
 * Start a backend after a look at the cost: the first click asks, the second one starts. The focus follows to the last
 * button, which costs nothing.
 */
function WarmUp({ backend, again }) {
  const [asked, setAsked] = useState(null);
  const [error, setError] = useState(null);
  const own = useRef(null);
  useEffect(() => {
    if (asked !== null) [...own.current.querySelectorAll("button")].at(-1).focus();
  }, [asked]);
  const start = async () => {
    setAsked(false);
    await post(`/v1/fleet/${encodeURIComponent(backend.id)}/warm_up`).then(again, setError);
  };
  return html`<div ref=${own}><${ErrorNotice} error=${error} />
    ${asked
      ? html`<p class="notice" role="status">A warm-up that no turn uses costs you ${dollars(backend.start.worst_warm_up_usd)} at most: a start of up to ${seconds(backend.start.p99_s)} and the idle period.
          ${" "}<button onClick=${start}>Start ${backend.id}</button> <button class="quiet" onClick=${() => setAsked(false)}>Leave it asleep</button></p>`
      : html`<p><button class="quiet" onClick=${() => setAsked(true)}>Warm up</button></p>`}</div>`;
}

const SHARER_COLUMNS = [
  { title: "Who", wrap: true, of: (each) => (each.id?.startsWith("resp_") ? html`<a href=${`#/turn/${encodeURIComponent(each.id)}`}>${each.id}</a>` : (each.name ?? `${each.id}, a warm-up without a turn`)) },
  { title: "Part so far", number: true, of: (each) => dollars(each.used_usd) },
];

function Session({ session }) {
  const { sharers } = session;
  const rows = sharers ? [...sharers.own.map((each) => ({ id: each.response_id, used_usd: each.used_usd })), { name: "all other tenants together", used_usd: sharers.others_usd }] : [];
  return html`<h3>Open GPU session</h3>
    <${Facts} facts=${[
      ["Started", clock(session.started_at)],
      ["Ready", session.ready_at ? clock(session.ready_at) : "still starting"],
      ["Ends at the earliest", session.ends_at ? clock(session.ends_at) : "–"],
      ["Cost so far", dollars(session.cost_usd)],
      ["Requests", `${session.members} in all, ${session.running.length + session.running_of_others} running`],
    ]} />
    ${sharers && html`<${Table} caption="Who shares it: the parts if the machine stopped now" columns=${SHARER_COLUMNS} rows=${rows} empty="" />`}`;
}
