// How long do GPUs take to start, which starts took longer than promised, and how much of a start did nobody wait for?

import { html, useEffect, useState } from "./htm-preact.js";
import { get } from "./api.js";
import { day, dollars, ErrorNotice, ReadAt, Reading, seconds, Stale, Table, Tiles, useApi } from "./parts.js";
import { HEIGHT, Plot } from "./plots.js";
import { startOf } from "./timeline.js";

const COLD_TURNS = 8;

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
    <${Hidden} />
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
    <${Tiles} tiles=${[
      ["Expected", seconds(start.p50_s), "median"],
      ["Promised", seconds(start.p99_s), "99th percentile, for turns with a deadline"],
      ["Promises missed", measured.length ? `${missed} of ${measured.length}` : "–", "in the last day", missed ? "late" : ""],
      ["Warm-ups lost", start.lost_warm_ups, start.samples ? `learned from ${starts(start.samples)}` : "no start was seen yet"],
    ]} />
    ${start.seen_s.length > 0 && html`<${Distribution} start=${start} measured=${measured} />`}
    <${Table} caption="Starts of the last day" columns=${COLUMNS(start)} rows=${measured} empty="No start was measured in the last day." />
  </section>`;
}

function starts(number) {
  return number === 1 ? "1 start" : `${number} starts`;
}

const COLUMNS = (start) => [
  { title: "Began", of: (each) => day(each.started_at) },
  { title: "Took", number: true, of: (each) => seconds(each.took) },
  { title: "Against the promise", of: (each) => (each.took > start.p99_s ? html`<strong class="late">${seconds(each.took - start.p99_s)} late</strong>` : `kept, ${seconds(start.p99_s - each.took)} to spare`) },
  { title: "Answered", of: (each) => (each.served ? `${each.members} requests` : "nothing: a warm-up without a turn") },
  { title: "Session", number: true, of: (each) => dollars(each.cost_usd) },
];

/** The share of the learned starts that were up by each time, with the starts of the last day as marks below it. */
function Distribution({ start, measured }) {
  const seen = [...start.seen_s].sort((a, b) => a - b);
  const end = Math.max(start.p99_s, ...seen, ...measured.map((each) => each.took)) * 1.05 || 1;
  const x = (value) => (100 * value) / end;
  const said = `${starts(seen.length)} between ${seconds(start.shortest_s)} and ${seconds(start.longest_s)}, median ${seconds(start.p50_s)}, 99th percentile ${seconds(start.p99_s)}`;
  const draw = () => {
    const y = (share) => HEIGHT * (1 - share);
    const corners = seen.flatMap((value, index) => [[value, index / seen.length], [value, (index + 1) / seen.length]]);
    const line = [[0, 0], ...corners, [end, 1]].map(([value, share]) => `${x(value)},${y(share)}`).join(" ");
    return html`<polyline class="line-spent" points=${line} />
      <rect class="lane tick" x=${x(start.p50_s)} y="0" width="0.2" height=${HEIGHT}><title>median ${seconds(start.p50_s)}</title></rect>
      <rect class="lane lost" x=${x(start.p99_s)} y="0" width="0.2" height=${HEIGHT}><title>promised ${seconds(start.p99_s)}</title></rect>
      ${measured.map((each) => html`<rect class="lane start" x=${x(each.took) - 0.2} y=${HEIGHT - 6} width="0.5" height="6"><title>${day(each.started_at)}: ${seconds(each.took)}</title></rect>`)}`;
  };
  const below = [0, 0.25, 0.5, 0.75, 1].map((share) => seconds(share * end));
  return html`<${Plot} label=${said} highest=${1} shown=${(share) => `${Math.round(100 * share)} %`} below=${below} draw=${draw} />
    <p class="legend"><span><i class="stroke spent"></i>share of the learned starts that were up</span><span><i class="part start"></i>a start of the last day</span>
      <span><i class="part tick"></i>median</span><span><i class="part lost"></i>promised</span></p>
    <p class="hint">${said}.</p>`;
}

const HIDDEN = [
  { title: "Turn", of: (each) => html`<a href=${`#/turn/${encodeURIComponent(each.id)}`}>${each.id.slice(0, 18)}…</a>` },
  { title: "Began", of: (each) => day(each.at) },
  { title: "Backend", of: (each) => each.backend },
  { title: "Start took", number: true, of: (each) => seconds(each.took) },
  { title: "Hidden by recall and sources", number: true, of: (each) => `${seconds(each.hidden)}, ${Math.round((100 * each.hidden) / each.took)} %` },
  { title: "Waited for", number: true, of: (each) => seconds(each.took - each.hidden) },
];

/** How much of each start of the caller's last cold turns passed while the turn did other things. Read once: ended turns stay. */
function Hidden() {
  const [found, setFound] = useState({ rows: null, error: null });
  useEffect(() => {
    const control = new AbortController();
    coldTurns(control.signal).then((rows) => setFound({ rows, error: null }), (error) => !control.signal.aborted && setFound({ rows: null, error }));
    return () => control.abort();
  }, []);
  return html`<section class="card">
    <h2>Hidden starts</h2>
    <p>A GPU starts while its turn reads the conversation and the private data. Only the rest is waited for.</p>
    <${ErrorNotice} error=${found.error} />
    <${Reading} of=${{ data: found.rows, error: found.error }} />
    ${found.rows && html`<${Table} caption="Your last turns that started a GPU" columns=${HIDDEN} rows=${found.rows} empty="None of your last turns started a GPU." />`}
  </section>`;
}

async function coldTurns(signal) {
  const turns = (await get("/v1/turns", { limit: 100 }, signal)).data.filter((turn) => turn.cold && turn.ended_at).slice(0, COLD_TURNS);
  const routes = await Promise.all(turns.map((turn) => get(`/v1/responses/${encodeURIComponent(turn.id)}/route`, {}, signal)));
  return routes.map((route, index) => ({ id: turns[index].id, at: turns[index].created_at, ...startOf(route) })).filter((each) => each.took > 0);
}
