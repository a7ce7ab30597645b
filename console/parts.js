// How are amounts, times, tables and bars shown?

import { html, useEffect, useRef, useState } from "./htm-preact.js";
import { get, requests, serverNow } from "./api.js";
import { readSettings } from "./entra.js";

/** A decimal text of dollars, with as many digits as say something: `0.000012600` is `$0.0000126`. */
export function dollars(text) {
  if (text === null || text === undefined) return "–";
  const amount = Number(text);
  if (amount === 0) return "$0";
  const digits = Math.min(9, Math.max(2, 2 - Math.floor(Math.log10(Math.abs(amount)))));
  return `$${amount.toFixed(digits)}`;
}

/** Dollars to the millionth: amounts that are compared with each other. */
export function exactly(text) {
  return text === null || text === undefined ? "–" : `$${Number(text).toFixed(6)}`.replace("$-", "−$");
}

/** A round amount of a scale, without zeros at its end. */
export function round(amount) {
  return dollars(amount).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
}

export function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0 s";
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  return value < 120 ? `${value.toFixed(1)} s` : `${Math.round(value / 60)} min`;
}

export function clock(at) {
  return at ? new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" }) : "–";
}

export function day(at) {
  return at ? new Date(at * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }) : "–";
}

export function ago(at) {
  return at ? `${seconds(Math.max(0, serverNow() - at))} ago` : "–";
}

function classOf(column) {
  return column.number ? "number" : column.wrap ? "wrap" : "";
}

/**
 * Rows as a table. A column: `{title, of: row => shown}`, with `number` for amounts and `wrap` for sentences. A `tall` one
 * has so many rows that it is moved by itself.
 */
export function Table({ caption, columns, rows, empty, tall }) {
  if (!rows.length) return html`<p class="notice">${empty}</p>`;
  return html`<div class=${tall ? "scroll tall" : "scroll"} tabindex="0" role="region" aria-label=${caption}>
    <table>
      <caption>${caption}</caption>
      <thead>
        <tr>${columns.map((column) => html`<th scope="col" class=${classOf(column)}>${column.title}</th>`)}</tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) => html`<tr>
            ${columns.map((column) => html`<td class=${classOf(column)}>${column.of(row)}</td>`)}
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

/** Key figures: `[name, value, what it means, class]` each; what is undefined is left out. */
export function Tiles({ tiles }) {
  return html`<dl class="tiles">
    ${tiles.filter(Boolean).map(([name, value, about, kind]) => html`<div><dt>${name}</dt><dd class=${kind ?? ""}>${value}</dd><dd class="about">${about}</dd></div>`)}
  </dl>`;
}

/**
 * Parts of a whole as one bar. A part: `{name, value, kind}`; `kind` chooses the colour, `open` hatches what may change.
 * With `whole`, the parts leave room: bars with the same whole have the same scale.
 */
export function Bar({ label, parts, whole: given, shown = dollars }) {
  const kept = parts.filter((part) => part.value > 0);
  const sum = kept.reduce((total, part) => total + part.value, 0);
  const whole = given ?? sum;
  if (!whole) return null;
  const said = kept.map((part) => `${part.name} ${shown(part.value)}`).join(", ");
  return html`<div class="bar" role="img" aria-label=${`${label}: ${said}`}>
    ${kept.map((part) => html`<span class=${`part ${part.kind} ${part.open ? "open" : ""}`} style=${{ flexGrow: part.value / whole }} title=${`${part.name} ${shown(part.value)}`}></span>`)}
    ${whole - sum > whole / 1e6 && html`<span class="part rest" style=${{ flexGrow: (whole - sum) / whole }}></span>`}
  </div>`;
}

/** What the colours mean: `names` says it for each kind. */
export function Legend({ kinds, names }) {
  return html`<p class="legend">${kinds.map((kind) => html`<span><i class=${`part ${kind}`}></i>${names[kind] ?? kind}</span>`)}</p>`;
}

export function ErrorNotice({ error }) {
  if (!error) return null;
  const role = error.status === 403;
  return html`<div class="notice error" role="alert">
    <p>${error.message}</p>
    ${role && html`<p>An administrator of your tenant grants the role in Entra: Enterprise applications, Users and groups.</p>`}
  </div>`;
}

/** Shown until the first answer of the server; an error takes its place. */
export function Reading({ of }) {
  return !of.data && !of.error && html`<p class="hint" aria-busy="true">Reading …</p>`;
}

/** When the figures of a view were read, by the server's clock: they may be older than the page. And what reading costs. */
export function ReadAt({ of, again = true }) {
  const [usd, setUsd] = useState(0);
  useEffect(() => {
    readSettings().then((settings) => setUsd(Number(settings.execution_usd)), () => {});
  }, []);
  const cost = usd > 0 && ` It has asked the app ${requests()} times since it was opened: ${dollars(requests() * usd)} at least, as each request counts as a second.`;
  return of.data && html`<p class="hint">Read at ${clock(of.at)}.${again && " The page reads again while it is seen."}${cost}</p>`;
}

export function Facts({ facts }) {
  return html`<dl class="facts">
    ${facts.filter(([, value]) => value !== undefined).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value ?? "–"}</dd></div>`)}
  </dl>`;
}

export function Status({ value }) {
  return html`<span class=${`status ${value}`}>${value.replaceAll("_", " ")}</span>`;
}

/** A view of one path asks 30 times in ten minutes. A view of more paths shares that number among them. */
const POLL_MS = 20_000;
const OVERNIGHT_MS = 3_600_000;

/**
 * Read a path again every `every` ms while the page is seen: `{data, error, stale, at, again}`. A hidden page reads nothing, and a
 * page that nobody has touched for an hour stops and says so.
 */
export function useApi(path, parameters = {}, { poll = true, every = POLL_MS } = {}) {
  const touched = useRef(Date.now());
  const key = JSON.stringify([path, parameters]);
  const first = { key, data: null, error: null, stale: false, at: null };
  const [kept, setKept] = useState(first);
  const state = kept.key === key ? kept : first; // what was read of another path or with other parameters is not shown
  const setState = (change) => setKept((old) => change(old.key === key ? old : first));
  const read = async (signal) => {
    try {
      const data = await get(path, parameters, signal);
      setState((old) => ({ ...old, data, error: null, at: serverNow() }));
    } catch (error) {
      if (!signal?.aborted) setState((old) => ({ ...old, error }));
    }
  };
  useEffect(() => {
    const control = new AbortController();
    const touch = () => (touched.current = Date.now());
    const tick = () => {
      if (document.hidden) return;
      if (Date.now() - touched.current > OVERNIGHT_MS) setState((old) => ({ ...old, stale: true }));
      else read(control.signal);
    };
    read(control.signal);
    const timer = poll ? setInterval(tick, every) : 0;
    for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, touch);
    return () => {
      control.abort();
      clearInterval(timer);
      for (const kind of ["pointerdown", "keydown"]) removeEventListener(kind, touch);
    };
  }, [key, poll, every]);
  const again = () => {
    touched.current = Date.now();
    setState((old) => ({ ...old, stale: false }));
    return read();
  };
  return { ...state, again };
}

export function Stale({ of }) {
  if (!of.stale) return null;
  return html`<p class="notice">This page has stopped reading: nobody touched it for an hour. <button onClick=${of.again}>Read again</button></p>`;
}
