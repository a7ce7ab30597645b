// What happened in one turn, why there, and what does it cost?

import { html, useEffect, useState } from "./htm-preact.js";
import { get, getPatiently, killWorker, onLaptop, turnEvents } from "./api.js";
import { Bar, clock, dollars, ErrorNotice, Facts, Legend, seconds, Status, Table } from "./parts.js";

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

export default function Turn({ rest: [id] }) {
  const turn = useTurn(id);
  return html`<div>
    <p><a href="#/turns">All turns</a></p>
    <h1>Turn</h1>
    <p class="id">${id}</p>
    <${ErrorNotice} error=${turn.error} />
    ${turn.response && html`<${Answer} response=${turn.response} live=${turn.live} />`}
    ${turn.route && html`<${Account} route=${turn.route} />`}
  </div>`;
}

const NOTHING = { pieces: [""], breaks: [], number: null };

/** Read a turn; while it runs, follow its log and count the events. */
function useTurn(id) {
  const [state, setState] = useState({ response: null, route: null, error: null, live: NOTHING });
  useEffect(() => {
    const control = new AbortController();
    const merge = (change) => !control.signal.aborted && setState((old) => ({ ...old, ...change }));
    follow(id, merge, control.signal).catch((error) => merge({ error }));
    return () => control.abort();
  }, [id]);
  return state;
}

async function follow(id, merge, signal) {
  const path = `/v1/responses/${encodeURIComponent(id)}`;
  const response = await get(path, {}, signal);
  merge({ response, route: await get(`${path}/route`, {}, signal) });
  if (ENDED.includes(response.status)) return;
  let live = NOTHING;
  let routes = Promise.resolve();
  // In order, and beside the events: the death of a worker breaks both, and none waits for the other.
  const readRoute = () => {
    routes = routes.then(() => getPatiently(`${path}/route`, signal)).then((route) => merge({ route }), (error) => merge({ error }));
  };
  let seen = false; // the account is read again with the first text, and with the first text after a break
  for await (const event of turnEvents({ id, signal })) {
    live = afterEvent(live, event);
    merge({ live });
    const begins = event.type === "response.output_text.delta" && !seen;
    seen = event.type === "console.resumed" ? false : seen || begins;
    if (begins || event.type === "response.in_progress") readRoute();
  }
  readRoute();
  merge({ response: await getPatiently(path, signal) });
  await routes;
}

/** Return what is known after an event: the text in pieces, one more after each break of the connection. */
function afterEvent(live, event) {
  if (event.type === "console.resumed") return { ...live, pieces: [...live.pieces, ""], breaks: [...live.breaks, event] };
  if (event.type !== "response.output_text.delta") return { ...live, number: event.sequence_number };
  return { ...live, number: event.sequence_number, pieces: [...live.pieces.slice(0, -1), live.pieces.at(-1) + event.delta] };
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
    <p class="answer" aria-live="polite" aria-busy=${running}>${live.breaks.length ? pieces(live) : textOf(response) || live.pieces[0] || "No text yet."}</p>
    ${live.breaks.map((each) => html`<p class="notice">The connection broke after event ${each.after} for ${seconds(each.seconds)}. The text in another colour came afterwards, from event ${each.after + 1} on.</p>`)}
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
    <${Timeline} route=${route} />
    <${Bill} bill=${route.bill} />
    ${route.routes.map((decision, index) => html`<${Decision} key=${index} place=${index + 1} decision=${decision} />`)}
    ${route.calls?.length > 0 && html`<${Calls} calls=${route.calls} />`}
  `;
}

const RUN_COLUMNS = [
  { title: "Began", of: (run) => clock(run.began_at) },
  { title: "Last sign", of: (run) => clock(run.last_at) },
  { title: "Events", of: (run) => (run.first_event === null ? "none" : `${run.first_event} to ${run.last_event}`) },
  { title: "End", wrap: true, of: (run) => (run.taken_over_at ? `died or was stopped; the next run took over after ${seconds(run.lost_s)}` : "came to its end, or is running") },
];

/** Return the spans of a turn: what it waited for, each attempt until its first token, and the runs that wrote it. */
function spansOf(route) {
  const spans = [];
  let cursor = route.timeline[0]?.at ?? 0;
  for (const attempt of route.attempts) {
    if (attempt.started_at > cursor) spans.push({ name: "waiting", kind: "waiting", from: cursor, to: attempt.started_at });
    const end = attempt.ended_at ?? route.timeline.at(-1).at;
    const token = writingSince(route.runs, attempt) ?? attempt.ended_at ?? attempt.started_at;
    spans.push({ name: `${attempt.backend}: until the first token`, kind: "start", from: attempt.started_at, to: token });
    spans.push(...writtenSpans(route.runs, attempt, token, end));
    cursor = Math.max(cursor, end);
  }
  return spans;
}

/** Return when an attempt began to write; of a run that died before it wrote down its first token, when it began. */
function writingSince(runs, attempt) {
  const died = runs.find((run) => run.taken_over_at && run.began_at >= attempt.started_at && run.first_event !== null);
  return died ? died.began_at : attempt.first_token_at;
}

/** Return who wrote an answer: a run, the gap after its death, and the run that went on, in another colour. */
function writtenSpans(runs, attempt, token, end) {
  const own = runs.filter((run) => run.last_at >= token && run.began_at <= end);
  if (!own.some((run) => run.taken_over_at)) {
    const kind = attempt.result === "done" || !attempt.ended_at ? "running" : "lost";
    return [{ name: `${attempt.backend}: answering`, kind, from: token, to: end }];
  }
  return own.flatMap((run, index) => {
    const written = { name: `run ${index + 1}: events ${run.first_event} to ${run.last_event}`, kind: index % 2 ? "resumed" : "running" };
    const last = run.taken_over_at ? run.last_at : end;
    const gap = { name: "no writer", kind: "lost", from: last, to: run.taken_over_at };
    return [{ ...written, from: Math.max(token, run.began_at), to: last }, ...(run.taken_over_at ? [gap] : [])];
  });
}

/** Return how much of a start other steps hid: the time from the warm-up until the first attempt, or until it was up. */
function hiddenStart(route) {
  const warmUp = route.timeline.find((step) => step.step === "warm-up");
  const attempt = route.attempts[0];
  const up = route.timeline.find((step) => step.step.endsWith("accepted by a cold backend"))?.at ?? attempt?.first_token_at;
  if (!warmUp || !attempt || !up) return null;
  return Math.max(0, Math.min(attempt.started_at, up) - warmUp.at);
}

const STEP_COLUMNS = [
  { title: "Step", of: (step) => step.step },
  { title: "After", number: true, of: (step) => seconds(step.after) },
  { title: "At", of: (step) => clock(step.at) },
  { title: "What", wrap: true, of: whatOf },
];

const ATTEMPT_COLUMNS = [
  { title: "Attempt", number: true, of: (attempt) => Number(attempt.id.split("_").at(-1)) },
  { title: "Backend", of: (attempt) => attempt.backend },
  { title: "Result", of: (attempt) => attempt.result || attempt.status },
  { title: "Reason", wrap: true, of: (attempt) => attempt.reason || "–" },
  { title: "First token", number: true, of: (attempt) => (attempt.first_token_at ? seconds(attempt.first_token_at - attempt.started_at) : "–") },
  { title: "Tokens out", number: true, of: (attempt) => attempt.output_tokens ?? "–" },
  { title: "Cost", number: true, of: (attempt) => dollars(attempt.cost_usd) },
];

/** Return what a step of the timeline is about: a wait and its end, a warm-up and its reason, a takeover. */
function whatOf(step) {
  const about = [step.backend, step.reason].filter(Boolean).join(": ");
  if (step.endpoint) return webhookOf(step);
  if (step.until) return `${about}, on a timer until ${clock(step.until)}`;
  if (step.lost_s !== undefined) return takeoverOf(step);
  if (step.step === "handed over") return `attempt ${step.attempt} ended as planned after event ${step.after_event}; the next one goes on`;
  return about;
}

function eventsOf([first, last]) {
  return first === null ? "no event" : `events ${first} to ${last}`;
}

function takeoverOf(step) {
  const cost = step.cost_usd === null ? "" : `; that cost ${dollars(step.cost_usd)}`;
  return `no writer for ${seconds(step.lost_s)}, last seen at ${clock(step.previous_seen_at)}: ${eventsOf(step.previous)} before, ${eventsOf(step.next)} after${cost}`;
}

function webhookOf(step) {
  const failed = step.tries === 1 ? "1 try" : `${step.tries} tries`;
  if (step.until) return `${step.endpoint}: due, next try at ${clock(step.until)} after ${failed}`;
  return `${step.endpoint}: ${step.outcome} after ${failed}`;
}

function Timeline({ route }) {
  const first = route.timeline[0]?.at ?? 0;
  const steps = route.timeline.map((step) => ({ ...step, after: step.at - first }));
  const hidden = hiddenStart(route);
  const spans = spansOf(route).map((span) => ({ ...span, value: span.to - span.from }));
  return html`<section class="card">
    <h2>Timeline</h2>
    <${Bar} label="Where the time went" parts=${spans} shown=${seconds} />
    <${Legend} kinds=${[...new Map(spans.map((span) => [span.kind, span]))].map(([kind]) => kind)} names=${KINDS} />
    ${hidden !== null && html`<p class="hint">The start was hidden by other steps of the turn for ${seconds(hidden)}.</p>`}
    <${Table} caption="Attempts" columns=${ATTEMPT_COLUMNS} rows=${route.attempts} empty="No attempt has begun." />
    ${route.runs.some((run) => run.taken_over_at) && html`<${Table} caption="Runs: who wrote which events" columns=${RUN_COLUMNS} rows=${route.runs} empty="" />`}
    <${Table} caption="Steps" columns=${STEP_COLUMNS} rows=${steps} empty="Nothing has happened yet." />
  </section>`;
}

const KINDS = {
  waiting: "waiting, no backend called",
  start: "called, no token yet",
  running: "answering",
  lost: "no writer, or an answer that was cut",
  resumed: "another run went on",
};

function Bill({ bill }) {
  const parts = CAUSES.map(([field, name, kind]) => ({ name, kind, value: Number(bill[field] ?? 0) })).filter((part) => part.value);
  const columns = [
    { title: "Cause", of: (part) => html`<i class=${`part ${part.kind}`}></i> ${part.name}` },
    { title: "Amount", number: true, of: (part) => dollars(part.value) },
  ];
  return html`<section class="card">
    <h2>Bill: ${dollars(bill.total_usd)} <${Status} value=${bill.status} /></h2>
    <${Bar} label="Bill by cause" parts=${parts} />
    <${Table} caption="Amounts by cause" columns=${columns} rows=${parts} empty="Nothing has been charged." />
    ${bill.sessions.map((session) => html`<${SessionPart} session=${session} />`)}
    ${(bill.settled_sessions ?? []).map((session) => html`<${Settled} session=${session} />`)}
  </section>`;
}

function SessionPart({ session }) {
  return html`<h3>GPU session on ${session.backend}</h3>
    <p>${session.reason}</p>
    <${Table} caption="What is provisional" columns=${LINE_COLUMNS} rows=${[...session.lines, { line: "in all", ...session }]} empty="" />
    <${Facts} facts=${[
      ["The machine so far", dollars(session.session_usd)],
      ["Final after", clock(session.final_after)],
      ["Shared with", `${session.responses.length} of your responses, ${session.members_of_others} of others`],
      ["Price", `${session.price.name}, ${session.price.source}, ${session.price.date}`],
    ]} />`;
}

const LINES = { gpu: "GPU running", cold: "GPU start", tail: "GPU idle period" };

const LINE_COLUMNS = [
  { title: "Line", of: (line) => LINES[line.line] ?? line.line },
  { title: "Charged now", number: true, of: (line) => dollars(line.charged_usd) },
  { title: "Used so far", number: true, of: (line) => dollars(line.used_usd) },
  { title: "Expected at the end", number: true, of: (line) => dollars(line.expected_usd) },
];

/** What a session costs that is over, and why that is not what was charged before. */
function Settled({ session }) {
  return html`<h3>GPU session on ${session.backend}, ended</h3>
    <p>${session.reason}</p>
    <${Facts} facts=${[
      ["Charged before the end", dollars(session.provisional_usd)],
      ["Final", dollars(session.final_usd)],
      ["Difference", dollars(session.difference_usd)],
    ]} />`;
}

const TERMS = { cost: "tokens", waiting: "waiting", lateness: "lost", investment: "idle", patience: "held" };
const TERM_NAMES = Object.fromEntries(Object.entries(TERMS).map(([name, kind]) => [kind, name]));

const REFUSED_COLUMNS = [
  { title: "Backend", of: (refused) => refused.backend },
  { title: "Reason", wrap: true, of: (refused) => refused.reason },
];

function Decision({ decision, place }) {
  const columns = [
    { title: "Backend", of: (each) => (each.backend === decision.backend ? html`<strong>${each.backend}</strong>` : each.backend) },
    { title: "Score by term", of: (each) => html`<${Bar} label=${each.backend} parts=${termsOf(each)} />` },
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
