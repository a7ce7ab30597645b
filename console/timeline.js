// When did a turn wait, start, answer and break off, and which run went on?

import { html } from "./htm-preact.js";
import { Bar, clock, dollars, Legend, seconds, Table, Tiles } from "./parts.js";

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
export function writingSince(runs, attempt) {
  const died = runs.find((run) => run.taken_over_at && run.last_at >= attempt.started_at && run.first_event !== null);
  return died ? Math.max(died.began_at, attempt.started_at) : attempt.first_token_at;
}

/** Return the numbers of the events with which a run went on after the death of another one. */
export function takeoversOf(runs) {
  const firsts = [];
  let [written, died] = [false, false];
  for (const run of runs) {
    if (run.first_event !== null) {
      if (written && died) firsts.push(run.first_event);
      [written, died] = [true, false];
    }
    died ||= Boolean(run.taken_over_at);
  }
  return firsts;
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

/**
 * Return the start that a turn asked for: `{backend, took, hidden}` in seconds. Hidden is what passed until the turn was
 * routed after recall and sources; null where the turn started nothing, or its start has not ended.
 */
export function startOf(route) {
  const warmUp = route.timeline.find((step) => step.step === "warm-up");
  const attempt = route.attempts[0];
  const up = route.timeline.find((step) => step.step.endsWith("accepted by a cold backend"))?.at ?? attempt?.first_token_at;
  if (!warmUp || !up || up <= warmUp.at) return null;
  const routed = route.timeline.find((step) => step.step === "routed" && step.at >= warmUp.at)?.at ?? warmUp.at;
  return { backend: warmUp.backend, took: up - warmUp.at, hidden: Math.min(routed, up) - warmUp.at };
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
  if (step.outcome) return `${about}; ${step.outcome}`;
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

export function Timeline({ route }) {
  const first = route.timeline[0]?.at ?? 0;
  const steps = route.timeline.map((step) => ({ ...step, after: step.at - first }));
  const start = startOf(route);
  const spans = spansOf(route).map((span) => ({ ...span, value: span.to - span.from }));
  const whole = spans.length ? spans.at(-1).to - first : 0;
  return html`<section class="card">
    <h2>Timeline</h2>
    <${Bar} label="Where the time went" parts=${spans} shown=${seconds} />
    ${whole > 0 && html`<p class="axis" aria-hidden="true">${[0, 0.25, 0.5, 0.75, 1].map((share) => html`<span>${seconds(share * whole)}</span>`)}</p>`}
    <${Legend} kinds=${[...new Map(spans.map((span) => [span.kind, span]))].map(([kind]) => kind)} names=${KINDS} />
    ${start && html`<p class="hint">${start.backend} took ${seconds(start.took)} to start; recall and sources hid ${seconds(start.hidden)} of it.</p>`}
    <${Table} caption="Attempts" columns=${ATTEMPT_COLUMNS} rows=${route.attempts} empty="No attempt has begun." />
    <details open><summary>Every step</summary><${Table} caption="Steps" columns=${STEP_COLUMNS} rows=${steps} empty="Nothing has happened yet." /></details>
  </section>`;
}

/** Where a run died: the last number before, the first one after, the seconds lost, and which run went on. */
export function Crash({ route }) {
  if (!route.runs.some((run) => run.taken_over_at)) return null;
  const taken = route.timeline.filter((step) => step.lost_s !== undefined);
  return html`<section class="card crash" id="crash" tabindex="-1">
    <h2>Crash</h2>
    ${taken.map((step, index) => html`<${Tiles} key=${index} tiles=${[
      ["Last event before", step.after_event ?? "none", `written at ${clock(step.previous_seen_at)}`],
      ["First event after", step.next[0] ?? "none yet", step.next[1] === null ? "" : `up to event ${step.next[1]}`, "resumed"],
      ["Without a writer", seconds(step.lost_s), "none lost, none repeated", "late"],
      ["Went on", `run ${route.runs.findIndex((run) => run.taken_over_at === step.at) + 2}`, step.cost_usd === null ? `of attempt ${step.attempt}` : `of attempt ${step.attempt}; the pause cost ${dollars(step.cost_usd)}`],
    ]} />`)}
    <${Table} caption="Runs: who wrote which events" columns=${RUN_COLUMNS} rows=${route.runs} empty="" />
    <p><a href=${`#/crash/${encodeURIComponent(route.response_id)}`}>The address of this crash</a></p>
  </section>`;
}

const KINDS = {
  waiting: "waiting, no backend called",
  start: "called, no token yet",
  running: "answering",
  lost: "no writer, or an answer that was cut",
  resumed: "another run went on",
};
