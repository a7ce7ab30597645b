// How long do GPUs take to start, and which starts took longer than promised?

import { html } from "./htm-preact.js";
import { day, dollars, ErrorNotice, Facts, ReadAt, Reading, seconds, Stale, Table, useApi } from "./parts.js";

export default function Starts() {
  const fleet = useApi("/v1/fleet");
  const sleeping = fleet.data?.data.filter((backend) => backend.start);
  return html`<div>
    <h1>Starts</h1>
    <${ErrorNotice} error=${fleet.error} />
    <${Reading} of=${fleet} />
    <${Stale} of=${fleet} />
    ${sleeping?.length === 0 && html`<p class="notice">No backend of the fleet scales to zero, so none has to start.</p>`}
    ${sleeping?.map((backend) => html`<${Backend} key=${backend.id} backend=${backend} />`)}
    <${ReadAt} of=${fleet} />
  </div>`;
}

function Backend({ backend }) {
  const { start } = backend;
  const sessions = backend.session ? [...backend.sessions, { ...backend.session, served: true }] : backend.sessions;
  const measured = sessions.filter((each) => each.ready_at).map((each) => ({ ...each, took: each.ready_at - each.started_at })).reverse();
  const missed = measured.filter((each) => each.took > start.p99_s).length;
  return html`<section class="card">
    <h2>${backend.id}</h2>
    <${Facts} facts=${[
      ["Expected", `${seconds(start.p50_s)} (median)`],
      ["Promised to turns with a deadline", `${seconds(start.p99_s)} (99th percentile)`],
      ["Learned from", start.samples ? starts(start.samples) : "the configuration, no start was seen yet"],
      ["Later than promised", measured.length ? `${missed} of ${measured.length} in the last day` : "–"],
      ["Warm-ups that led to nothing", start.lost_warm_ups],
      ["A warm-up that no turn uses", `${dollars(start.worst_warm_up_usd)} at most`],
    ]} />
    ${start.seen_s.length > 0 && html`<${Distribution} start=${start} />`}
    <${Table} caption="Starts of the last day" columns=${COLUMNS(start)} rows=${measured} empty="No start was measured in the last day." />
  </section>`;
}

function starts(number) {
  return number === 1 ? "1 start" : `${number} starts`;
}

const COLUMNS = (start) => [
  { title: "Began", of: (each) => day(each.started_at) },
  { title: "Took", number: true, of: (each) => seconds(each.took) },
  { title: "Against the promise", of: (each) => (each.took > start.p99_s ? html`<strong class="late">${seconds(each.took - start.p99_s)} late</strong>` : "kept") },
  { title: "Answered", of: (each) => (each.served ? `${each.members} requests` : "nothing: a warm-up without a turn") },
  { title: "Session", number: true, of: (each) => dollars(each.cost_usd) },
];

/** Every start that was learned from as a mark on one scale, with the learned median and 99th percentile as lines. */
function Distribution({ start }) {
  const end = Math.max(start.p99_s, ...start.seen_s) * 1.05 || 1;
  const place = (value) => Math.min(99.4, (100 * value) / end);
  const said = `${starts(start.seen_s.length)} between ${seconds(start.shortest_s)} and ${seconds(start.longest_s)}, median ${seconds(start.p50_s)}, 99th percentile ${seconds(start.p99_s)}`;
  return html`<svg class="scale starts" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label=${said}>
      <rect x="0" y="4.5" width="100" height="1" />
      ${start.seen_s.map((value) => html`<rect class="mark" x=${place(value)} y="2" width="0.6" height="6"><title>${seconds(value)}</title></rect>`)}
      <rect class="line" x=${place(start.p50_s)} y="0" width="0.3" height="10" />
      <rect class="line" x=${place(start.p99_s)} y="0" width="0.3" height="10" />
    </svg>
    <p class="hint">${said}. The two lines are the median and the 99th percentile.</p>`;
}
