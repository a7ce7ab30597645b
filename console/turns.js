// Which turns ran, and what did each cost?

import { html, useState } from "./htm-preact.js";
import { get } from "./api.js";
import { day, dollars, ErrorNotice, ReadAt, Reading, seconds, Stale, Status, Table, useApi } from "./parts.js";

const COLUMNS = [
  { title: "Turn", of: (turn) => html`<a href=${`#/turn/${encodeURIComponent(turn.id)}`}>${turn.id.slice(0, 18)}…</a>` },
  { title: "Status", of: (turn) => html`<${Status} value=${turn.status} />` },
  { title: "Cost", number: true, of: (turn) => html`<span class=${turn.cost_status}>${dollars(turn.cost_usd)}</span>` },
  { title: "Took", number: true, of: (turn) => (turn.ended_at ? seconds(turn.ended_at - turn.created_at) : "running") },
  { title: "Started", of: (turn) => day(turn.created_at) },
  { title: "Backend", of: (turn) => turn.backend ?? "–" },
  { title: "Model", of: (turn) => turn.model },
  { title: "Start", of: (turn) => (turn.cold ? "cold" : "warm") },
  { title: "Attempts", number: true, of: (turn) => turn.attempts },
];

export default function Turns() {
  const [scope, setScope] = useState("owner");
  const [older, setOlder] = useState([]);
  const turns = useApi("/v1/turns", { scope, limit: 50 });
  const rows = [...(turns.data?.data ?? []), ...older];
  const last = older.length ? older.at(-1) : turns.data?.data.at(-1);
  const more = async () => {
    const next = await get("/v1/turns", { scope, limit: 50, after: last.id });
    setOlder([...older, ...next.data]);
  };
  const choose = (event) => {
    setOlder([]);
    setScope(event.target.value);
  };
  return html`<div>
    <h1>Turns</h1>
    <p>
      <label class="inline">Whose <select value=${scope} onChange=${choose}>
        <option value="owner">mine</option>
        <option value="tenant">of the whole tenant (role Operations.Read)</option>
      </select></label>
    </p>
    <${ErrorNotice} error=${turns.error} />
    <${Reading} of=${turns} />
    <${Stale} of=${turns} />
    ${turns.data && html`<section class="card"><${Table} caption="Turns, newest first" columns=${COLUMNS} rows=${rows} empty="No turn yet. Ask something under Try it." /></section>`}
    ${turns.data?.has_more && html`<button onClick=${more}>Older turns</button>`}
    <${ReadAt} of=${turns} />
  </div>`;
}
