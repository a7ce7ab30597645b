// What happened in one turn, why there, and what does it cost?

import { html, useEffect, useState } from "./htm-preact.js";
import { ApiError, events, get, getPatiently, killWorker, onLaptop, serverNow, turnEvents } from "./api.js";
import { Bar, clock, dollars, ErrorNotice, exactly, Facts, Legend, ReadAt, seconds, Status, Table, Tiles } from "./parts.js";
import { Crash, startOf, takeoversOf, Timeline, writingSince } from "./timeline.js";

const ENDED = ["completed", "failed", "incomplete", "cancelled"];
const CAUSES = [
  ["gpu_usd", "GPU running", "running"],
  ["cold_usd", "GPU start", "start"],
  ["tail_usd", "GPU idle period", "idle"],
  ["tokens_usd", "tokens", "tokens"],
  ["tools_usd", "tools", "tools"],
  ["held_usd", "held for calls under way", "held"],
  ["store_usd", "store", "store"],
  ["functions_usd", "functions", "functions"],
];

export default function Turn({ rest: [id], view }) {
  const turn = useTurn(id);
  const [crash, whole] = [view === "crash", turn.route !== null];
  useEffect(() => {
    if (crash && whole) document.getElementById("crash")?.focus();
  }, [crash, whole]);
  return html`<div>
    <p><a href="#/turns">All turns</a></p>
    <h1>Turn</h1>
    <p class="id">${id}</p>
    <${ErrorNotice} error=${turn.error} />
    ${crash && whole && !turn.route.runs.some((run) => run.taken_over_at) && html`<p class="notice">No run of this turn has died.</p>`}
    ${turn.response && turn.route && html`<${Figures} response=${turn.response} route=${turn.route} />`}
    ${turn.response && html`<${Answer} response=${turn.response} live=${turn.live} />`}
    ${turn.route && html`<${Account} route=${turn.route} />`}
    <${ReadAt} of=${{ data: turn.route, at: turn.at }} again=${turn.route?.bill.status !== "final"} />
  </div>`;
}

/** The figures of a turn: where it ran, how long it took, and what it costs until now. */
function Figures({ response, route }) {
  const first = route.attempts.map((attempt) => writingSince(route.runs, attempt)).find((at) => at);
  const ended = route.timeline.find((step) => step.step === "finished");
  const asked = route.timeline[0].at; // `created_at` of the response is a whole second
  const start = startOf(route);
  const open = route.bill.sessions.map((session) => clock(session.final_after)).at(-1);
  return html`<${Tiles} tiles=${[
    ["Backend", route.attempts.at(-1)?.backend ?? "–", start ? `started for it in ${seconds(start.took)}` : "no start"],
    ["First text after", first ? seconds(first - asked) : "–", `${route.attempts.length} ${route.attempts.length === 1 ? "attempt" : "attempts"}`],
    ["Took", ended ? seconds(ended.at - asked) : "running", response.usage ? `${response.usage.output_tokens} tokens out` : ""],
    [route.bill.status === "final" ? "Cost" : "Charged now", dollars(route.bill.total_usd), route.bill.status === "final" ? "final" : open ? `final after ${open}` : "not final", route.bill.status],
  ]} />`;
}

const NOTHING = { pieces: [""], breaks: [], number: null };

/** Read a turn; while it runs, follow its log and count the events. */
function useTurn(id) {
  const [state, setState] = useState({ response: null, route: null, error: null, live: NOTHING });
  useEffect(() => {
    const control = new AbortController();
    const read = (change) => (change.route ? { ...change, at: serverNow() } : change);
    const merge = (change) => !control.signal.aborted && setState((old) => ({ ...old, ...read(change) }));
    follow(id, merge, control.signal).catch((error) => merge({ error }));
    return () => control.abort();
  }, [id]);
  return state;
}

async function follow(id, merge, signal) {
  const path = `/v1/responses/${encodeURIComponent(id)}`;
  const response = await get(path, {}, signal);
  merge({ response });
  const route = await get(`${path}/route`, {}, signal);
  merge({ route });
  const takeovers = takeoversOf(route.runs);
  if (ENDED.includes(response.status)) {
    if (takeovers.length) await readPieces(path, takeovers, merge, signal);
    return readUntilFinal(path, merge, signal, route);
  }
  let live = NOTHING;
  let routes = Promise.resolve();
  // In order, and beside the events: the death of a worker breaks both, and none waits for the other.
  const readRoute = () => {
    routes = routes.then(() => getPatiently(`${path}/route`, signal)).then((route) => merge({ route }), (error) => merge({ error }));
  };
  let seen = false; // the account is read again with the first text, and with the first text after a break
  for await (const event of turnEvents({ id, signal })) {
    live = afterEvent(live, event, takeovers);
    merge({ live });
    const begins = event.type === "response.output_text.delta" && !seen;
    seen = event.type === "console.resumed" ? false : seen || begins;
    if (begins || event.type === "response.in_progress") readRoute();
  }
  readRoute();
  merge({ response: await getPatiently(path, signal) });
  await routes;
  return readUntilFinal(path, merge, signal);
}

const BILL_MS = 30_000;
const BILL_READS = 120;

/** Read the events of a turn that has ended, so that its text changes the colour where another run took over. */
async function readPieces(path, takeovers, merge, signal) {
  let live = NOTHING;
  try {
    for await (const event of events(`${path}?stream=true`, { signal })) live = afterEvent(live, event, takeovers);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error; // the events of an old turn are deleted before its answer
    return;
  }
  merge({ live });
}

/** Read the account again while it is seen, until its bill is final, for an hour of looking at most. */
async function readUntilFinal(path, merge, signal, known = null) {
  for (let reads = 0; reads < BILL_READS && !signal.aborted; reads++) {
    const route = (reads === 0 && known) || (await getPatiently(`${path}/route`, signal));
    merge({ route });
    if (route.bill.status === "final") return;
    do await new Promise((done) => setTimeout(done, BILL_MS));
    while (document.hidden && !signal.aborted);
  }
}

/**
 * Return what is known after an event: the text in pieces, one more after each break of the connection, and after each of
 * the `takeovers`: numbers of the first events of runs that went on.
 */
function afterEvent(live, event, takeovers) {
  if (event.type === "console.resumed") return { ...live, pieces: [...live.pieces, ""], breaks: [...live.breaks, event] };
  const number = event.sequence_number;
  const taken = takeovers.some((first) => first > (live.number ?? -1) && first <= number);
  const pieces = taken ? [...live.pieces, ""] : live.pieces;
  if (event.type !== "response.output_text.delta") return { ...live, number, pieces };
  return { ...live, number, pieces: [...pieces.slice(0, -1), pieces.at(-1) + event.delta] };
}

function textOf(response) {
  const parts = response.output.flatMap((item) => (item.type === "message" ? item.content : []));
  return parts.map((part) => part.text ?? part.refusal ?? "").join("");
}

function pieces(live) {
  return live.pieces.map((text, index) => html`<span class=${index % 2 ? "resumed" : ""}>${text}</span>`);
}

function Answer({ response, live }) {
  const running = !ENDED.includes(response.status);
  return html`<section class="card">
    <h2>Answer <${Status} value=${response.status} /></h2>
    <p class="answer" aria-live="polite" aria-busy=${running}>${live.pieces.length > 1 ? pieces(live) : textOf(response) || live.pieces[0] || "No text yet."}</p>
    ${live.breaks.map((each) => html`<p class="notice">The connection broke after event ${each.after} for ${seconds(each.seconds)}. The text in another colour came afterwards, from event ${each.after + 1} on.</p>`)}
    ${live.pieces.length > 1 && !live.breaks.length && html`<p class="notice">A run died while it wrote this answer. The text in another colour is of the run that went on.</p>`}
    ${running && live.number !== null && html`<p class="hint">Event ${live.number} has arrived.</p>`}
    ${running && onLaptop() && html`<${KillWorker} />`}
    ${response.error && html`<p class="notice error">${response.error.message}</p>`}
    <${Facts} facts=${[
      ["Model", response.model],
      ["Input", response.usage ? `${response.usage.input_tokens} tokens, ${response.usage.input_tokens_details.cached_tokens} cached` : "–"],
      ["Output", response.usage ? `${response.usage.output_tokens} tokens` : "–"],
    ]} />
  </section>`;
}

/** On a laptop: kill the worker that writes this answer, and watch another one go on with it. */
function KillWorker() {
  const [said, setSaid] = useState("");
  const kill = () => killWorker().then((worker) => setSaid(`Worker ${worker} was killed.`), (error) => setSaid(error.message));
  return html`<p><button class="quiet" onClick=${kill}>Kill the worker (kill -9)</button> <span role="status">${said}</span></p>`;
}

function Account({ route }) {
  return html`
    <${Crash} route=${route} />
    <${Timeline} route=${route} />
    <${Bill} bill=${route.bill} turn=${route.response_id} />
    ${route.routes.map((decision, index) => html`<${Decision} key=${index} place=${index + 1} decision=${decision} />`)}
    ${route.calls?.length > 0 && html`<${Calls} calls=${route.calls} />`}
  `;
}

function Bill({ bill, turn }) {
  const open = new Set(bill.sessions.flatMap((session) => session.lines.map((line) => `${line.line}_usd`)));
  const parts = CAUSES.map(([field, name, kind]) => ({ name, kind, value: Number(bill[field] ?? 0), open: open.has(field) })).filter((part) => part.value);
  const columns = [
    { title: "Cause", of: (part) => html`<i class=${`part ${part.kind} ${part.open ? "open" : ""}`}></i> ${part.name}` },
    { title: "State", of: (part) => (part.open ? "provisional" : "final") },
    { title: "Amount", number: true, of: (part) => dollars(part.value) },
  ];
  return html`<section class="card">
    <h2>Bill: ${dollars(bill.total_usd)} <${Status} value=${bill.status} /></h2>
    <${Bar} label="Bill by cause" parts=${parts} />
    ${open.size > 0 && html`<p class="hint">What is hatched may still change: the time below moves while other turns use the machine.</p>`}
    <${Table} caption="Amounts by cause" columns=${columns} rows=${parts} empty="Nothing has been charged." />
    ${bill.sessions.map((session) => html`<${SessionPart} session=${session} turn=${turn} />`)}
    ${(bill.settled_sessions ?? []).map((session) => html`<${Settled} session=${session} />`)}
  </section>`;
}

function SessionPart({ session, turn }) {
  const others = session.responses.filter((each) => each !== turn);
  return html`<h3>GPU session on ${session.backend}</h3>
    <p>${session.reason}</p>
    <${Table} caption="What is provisional" columns=${LINE_COLUMNS} rows=${[...session.lines, { line: "in all", ...session }]} empty="" />
    <${Facts} facts=${[
      ["The machine so far", exactly(session.session_usd)],
      ["Final after", clock(session.final_after)],
      ["Shared with", `${others.length} other ${others.length === 1 ? "turn" : "turns"} of yours and ${session.members_of_others} of others`],
      ["Price", `${session.price.name}, ${session.price.source}, ${session.price.date}`],
    ]} />
    ${others.length > 0 && html`<${Table} caption="Your other turns in this session" columns=${OTHER_COLUMNS} rows=${others} empty="" />`}`;
}

const OTHER_COLUMNS = [{ title: "Turn", wrap: true, of: (id) => html`<a href=${`#/turn/${encodeURIComponent(id)}`}>${id}</a>` }];

const LINES = { gpu: "GPU running", cold: "GPU start", tail: "GPU idle period" };

const LINE_COLUMNS = [
  { title: "Line", of: (line) => LINES[line.line] ?? line.line },
  { title: "Charged now", number: true, of: (line) => exactly(line.charged_usd) },
  { title: "Used so far", number: true, of: (line) => exactly(line.used_usd) },
  { title: "Expected at the end", number: true, of: (line) => exactly(line.expected_usd) },
];

/** What a session costs that is over, and why that is not what was charged before. */
function Settled({ session }) {
  return html`<h3>GPU session on ${session.backend}, ended</h3>
    <p>${session.reason}</p>
    <${Facts} facts=${[
      ["Charged before the end", exactly(session.provisional_usd)],
      ["Final", exactly(session.final_usd)],
      ["Difference", exactly(session.difference_usd)],
    ]} />`;
}

const TERMS = { cost: "tokens", waiting: "waiting", lateness: "lost", investment: "idle", patience: "held" };
const TERM_NAMES = Object.fromEntries(Object.entries(TERMS).map(([name, kind]) => [kind, name]));

const REFUSED_COLUMNS = [
  { title: "Backend", of: (refused) => refused.backend },
  { title: "Reason", wrap: true, of: (refused) => refused.reason },
];

function Decision({ decision, place }) {
  const dearest = Math.max(...decision.candidates.map((each) => sum(termsOf(each))), 0);
  const columns = [
    { title: "Backend", of: (each) => (each.backend === decision.backend ? html`<strong>${each.backend}</strong>` : each.backend) },
    { title: "Score by term", of: (each) => html`<${Bar} label=${each.backend} whole=${dearest} parts=${termsOf(each)} />` },
    { title: "Cost", number: true, of: (each) => dollars(each.cost_usd) },
    { title: "Expected", number: true, of: (each) => seconds(each.seconds) },
    { title: "Score", number: true, of: (each) => dollars(each.score_usd) },
    { title: "Why", wrap: true, of: (each) => each.reason },
  ];
  return html`<section class="card">
    <h2>Decision ${place}</h2>
    <p>${decision.reason || decision.problem}</p>
    ${decision.wakes && html`<p>Warms up ${decision.wakes}: ${decision.why_wake}.</p>`}
    <${Legend} kinds=${Object.values(TERMS)} names=${TERM_NAMES} />
    <${Table} caption="Candidates: the lowest score wins" columns=${columns} rows=${decision.candidates} empty="No backend was eligible." />
    ${decision.refused.length > 0 && html`<${Table} caption="Not eligible" columns=${REFUSED_COLUMNS} rows=${decision.refused} empty="" />`}
  </section>`;
}

function sum(parts) {
  return parts.reduce((total, part) => total + part.value, 0);
}

function termsOf(candidate) {
  return Object.entries(candidate.terms_usd).map(([name, amount]) => ({ name, kind: TERMS[name] ?? "tools", value: Math.abs(Number(amount)) }));
}

const CALL_COLUMNS = [
  { title: "Tool", of: (call) => `${call.server}: ${call.tool}` },
  { title: "Outcome", of: (call) => call.outcome ?? "running" },
  { title: "Tries", number: true, of: (call) => call.tries },
  { title: "Took", number: true, of: (call) => seconds(call.seconds) },
  { title: "Cost", number: true, of: (call) => dollars(call.cost_usd) },
];

function Calls({ calls }) {
  return html`<section class="card"><h2>Tool calls</h2><${Table} caption="Calls that the server made" columns=${CALL_COLUMNS} rows=${calls} empty="" /></section>`;
}
