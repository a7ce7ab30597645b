// What did each GPU do in the last hours, and what did its sessions cost?

import { html } from "./htm-preact.js";
import { clock, day, dollars, seconds, Table } from "./parts.js";
import { HEIGHT, Plot, timesBetween } from "./plots.js";

const BINS = 120;

const LONGEST_S = 6 * 3600;
const SHORTEST_S = 300;

export function Lanes({ fleet }) {
  const lanes = fleet.data.filter((backend) => backend.start).map((backend) => ({ backend, sessions: sessionsOf(backend, fleet.at) }));
  if (!lanes.length) return null;
  const rows = lanes.flatMap(({ backend, sessions }) => sessions.map((session) => ({ ...session, backend: backend.id })));
  const oldest = Math.min(fleet.at, ...rows.map((session) => session.started_at));
  const span = Math.min(LONGEST_S, Math.max(SHORTEST_S, (fleet.at - oldest) * 1.1));
  const from = fleet.at - span;
  return html`<section class="card">
    <h2>The last ${span > 7200 ? `${Math.round(span / 3600)} hours` : `${Math.round(span / 60)} minutes`}</h2>
    ${lanes.map(({ backend, sessions }) => html`<${Lane} name=${backend.id} sessions=${sessions} from=${from} to=${fleet.at} />`)}
    <${MoneyPerMinute} sessions=${rows} from=${from} to=${fleet.at} />
    <p class="legend">
      <span><i class="part left"></i>asleep</span><span><i class="part start"></i>starting</span>
      <span><i class="part running"></i>working</span><span><i class="part idle"></i>idle, paid</span>
      <span><i class="part tick"></i>a request ended</span>
    </p>
    <${Table} caption="Sessions of the last day, newest first" columns=${COLUMNS} rows=${rows.sort((a, b) => b.started_at - a.started_at)} empty="No GPU was started in the last day." />
  </section>`;
}

/** Return the ended sessions and the open one, all with the same fields. */
function sessionsOf(backend, now) {
  const open = backend.session;
  const works = open && open.running.length + open.running_of_others > 0;
  const begun = open && { ...open, works, until: now, last_request_at: open.last_request_at ?? open.ready_at ?? now, ended_at: null, served: true };
  return begun ? [...backend.sessions, begun] : backend.sessions;
}

const COLUMNS = [
  { title: "Backend", of: (session) => session.backend },
  { title: "Started", of: (session) => day(session.started_at) },
  { title: "Start took", number: true, of: (session) => (session.ready_at ? seconds(session.ready_at - session.started_at) : "–") },
  { title: "Stopped", of: (session) => (session.ended_at ? clock(session.ended_at) : "still up") },
  { title: "Requests", number: true, of: (session) => session.members },
  { title: "Cost", number: true, of: (session) => dollars(session.cost_usd) },
  { title: "A minute", number: true, of: (session) => dollars(perMinute(session)) },
  { title: "Earned", of: (session) => (session.served ? "answers" : html`<strong class="late">nothing: no turn used it</strong>`) },
];

/** Return the dollars a minute of a session, until now where it is open. */
function perMinute(session) {
  const minutes = ((session.ended_at ?? session.until) - session.started_at) / 60;
  return minutes > 0 ? Number(session.cost_usd) / minutes : null;
}

/** What all sessions together cost a minute, on the same scale of time as the lanes above. */
function MoneyPerMinute({ sessions, from, to }) {
  const width = (to - from) / BINS;
  const spent = Array.from({ length: BINS }, (_, bin) => sessions.reduce((sum, each) => sum + spentWithin(each, from + bin * width, from + (bin + 1) * width), 0) / (width / 60));
  const highest = Math.max(...spent);
  const said = highest ? `Money a minute: at most ${dollars(highest)}, now ${dollars(spent.at(-1))}` : "Money a minute: none";
  const draw = (top) => spent.map((value, bin) => value > 0 && html`<rect class="lane tokens" x=${(100 * bin) / BINS} width=${100 / BINS + 0.05} y=${HEIGHT * (1 - value / top)} height=${(HEIGHT * value) / top} />`);
  return html`<div class="lane-row"><span>Money a minute</span>
    <${Plot} small label=${said} highest=${highest} below=${timesBetween(from, to)} draw=${draw} />
  </div>`;
}

/** Return the dollars of a session between two moments, as if its cost came evenly. */
function spentWithin(session, begin, end) {
  const until = session.ended_at ?? session.until;
  const shared = Math.min(end, until) - Math.max(begin, session.started_at);
  return shared > 0 ? (Number(session.cost_usd) * shared) / (until - session.started_at) : 0;
}

/** Return until when a session was starting: one that is not ready yet is not idle. */
export function readyOf(session, now) {
  return session.ready_at ?? (session.ended_at ? session.started_at : now);
}

/**
 * Return when a session worked, as pairs of times. Where that was not recorded, one pair: from its readiness to its last
 * request. What ran when it was read is drawn until now where something still runs.
 */
export function workOf(session, ready, end) {
  const { worked, works, sharers } = session;
  if (!worked) return [[ready, works ? end : Math.max(ready, session.last_request_at)]];
  return worked.map(([from, until]) => [from, works && until >= sharers.at ? end : until]);
}

function Lane({ name, sessions, from, to }) {
  const seen = sessions.filter((session) => (session.ended_at ?? to) > from);
  const x = (at) => (100 * (Math.min(Math.max(at, from), to) - from)) / (to - from);
  const piece = (kind, begin, end) => end > begin && html`<rect class=${`lane ${kind}`} x=${x(begin)} width=${Math.max(0.15, x(end) - x(begin))} y="0" height="10" />`;
  const said = seen.length ? seen.map((each) => `up from ${clock(each.started_at)} to ${each.ended_at ? clock(each.ended_at) : "now"}`).join(", ") : "asleep all the time";
  return html`<div class="lane-row">
    <span>${name}</span>
    <svg class="lanes" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label=${`${name}: ${said}`}>
      <rect class="lane left" x="0" y="0" width="100" height="10" />
      ${seen.map((each) => {
        const [ready, end] = [readyOf(each, to), each.ended_at ?? to];
        return html`${piece("start", each.started_at, each.ready_at ?? end)}${piece("idle", ready, end)}
          ${workOf(each, ready, end).map(([from, until]) => piece("running", from, until))}
          ${(each.requests_ended_at ?? []).filter((at) => at > from).map((at) => html`<rect class="lane tick" x=${x(at)} y="1" width="0.2" height="8" />`)}`;
      })}
    </svg>
  </div>`;
}
