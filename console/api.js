// How does the page talk to the API? The token stays in this module: it is never stored, and no cookie is used.

let token = "";
let laptop = "";
let skewS = 0;
let asked = 0;
const listeners = new Set();

/** Keep a token for as long as the page is open; returns whether there is one. */
export function signIn(given) {
  token = given.trim();
  return signedIn();
}

export function signedIn() {
  return token !== "";
}

/** Forget the token; `reason` is a sentence for the person, where it was not their wish. */
export function signOut(reason = "") {
  token = "";
  for (const listener of listeners) listener(reason);
}

/** Call `listener` after each sign-out; returns how to stop that. */
export function onSignOut(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

const LOOPBACK = ["127.0.0.1", "localhost", "[::1]"];

/**
 * Take the token out of an address such as `/console#token=…`, and out of the browser's history. Only `make run` gives
 * such addresses: elsewhere a foreign link would sign a person in as somebody else, who then reads what is asked.
 */
export function signInFromAddress() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given === null) return;
  const address = new URLSearchParams(location.hash.slice(1)).get("laptop") ?? "";
  const view = new URLSearchParams(location.hash.slice(1)).get("view") ?? "";
  if (LOOPBACK.includes(location.hostname)) {
    signIn(given);
    laptop = /^http:\/\/127\.0\.0\.1:\d+\//.test(address) ? address : "";
  }
  history.replaceState(null, "", `${location.pathname}#/${/^[a-z]+(\/\w+)?$/.test(view) ? view : "turns"}`);
}

/** Return whether this page belongs to `make run`, whose worker it may kill. */
export function onLaptop() {
  return laptop !== "";
}

/** Kill the worker of the app on this machine. The local runner does it: the app has no such endpoint. */
export async function killWorker() {
  const answer = await fetch(laptop, { method: "POST" });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error);
  return said.killed;
}

/** An answer that is not 2xx: `message` is a sentence for people. */
export class ApiError extends Error {
  constructor(status, body) {
    super(body?.error?.message ?? `The server answered with status ${status}.`);
    this.status = status;
    this.code = body?.error?.code ?? "";
  }
}

/** Return the seconds since 1970 by the server's clock: the browser's own may be minutes off. */
export function serverNow() {
  return Date.now() / 1000 + skewS;
}

function learnSkew(answer) {
  const date = Date.parse(answer.headers.get("date") ?? "");
  if (!Number.isNaN(date)) skewS = Math.abs(date - Date.now()) < 2000 ? 0 : (date - Date.now()) / 1000;
}

/** How many requests this page has made of the API since it was opened: each is an execution of the app. */
export function requests() {
  return asked;
}

async function request(path, { method = "GET", body, signal } = {}) {
  const headers = { authorization: `Bearer ${token}` };
  if (body) headers["content-type"] = "application/json";
  asked += 1;
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body), signal });
  learnSkew(answer);
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => null);
  if (answer.status === 401) signOut("The server does not accept this sign-in any more: it has expired, or it is not valid. Sign in again to go on where you were.");
  throw new ApiError(answer.status, said);
}

export async function get(path, parameters = {}, signal) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== "" && value !== undefined));
  const answer = await request(query.size ? `${path}?${query}` : path, { signal });
  return answer.json();
}

/** Read as `get` does, again and again while the server can't be reached or restarts. */
export async function getPatiently(path, signal) {
  const began = Date.now();
  for (;;) {
    try {
      return await get(path, {}, signal);
    } catch (error) {
      if (!mayPass(error) || signal?.aborted || Date.now() - began > PATIENCE_MS) throw error;
    }
    await pause();
  }
}

/** Save the answer of a path as a file. */
export async function download(path, parameters, name) {
  const answer = await request(`${path}?${new URLSearchParams(parameters)}`);
  const address = URL.createObjectURL(await answer.blob());
  Object.assign(document.createElement("a"), { href: address, download: name }).click();
  URL.revokeObjectURL(address);
}

export async function post(path, body, signal) {
  const answer = await request(path, { method: "POST", body, signal });
  return answer.json();
}

/** Yield each event of a stream, parsed. `body`: what to post; without it the stream of a GET is read. */
export async function* events(path, { body, signal } = {}) {
  const answer = await request(path, { method: body ? "POST" : "GET", body, signal });
  let rest = "";
  for await (const text of textOf(answer.body)) {
    const blocks = (rest + text).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const data = dataOf(block);
      if (data && data !== "[DONE]") yield JSON.parse(data);
    }
  }
}

/** Yield the text of a stream; not every browser can iterate over a stream itself. */
async function* textOf(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

export function dataOf(block) {
  const lines = block.split("\n").filter((line) => line.startsWith("data:"));
  return lines.map((line) => line.slice(5).trimStart()).join("\n");
}

const LAST = new Set(["response.completed", "response.failed", "response.incomplete", "response.cancelled", "error"]);
const PATIENCE_MS = 300_000;
const PAUSE_MS = 1000;

/**
 * Yield the events of a turn to its end, each once, whatever breaks in between: `body` starts the turn, `id` follows one.
 * After a break an event of the page's own comes first: `{type: "console.resumed", after, seconds}`.
 */
export async function* turnEvents({ body, id, signal }) {
  let number = null;
  let brokenAt = null;
  for (;;) {
    try {
      const from = number === null ? "" : `&starting_after=${number}`;
      const source = id ? events(`/v1/responses/${encodeURIComponent(id)}?stream=true${from}`, { signal }) : events("/v1/responses", { body, signal });
      for await (const event of source) {
        if (brokenAt) yield { type: "console.resumed", after: number, seconds: (Date.now() - brokenAt) / 1000 };
        brokenAt = null;
        id = event.response?.id ?? id;
        number = event.sequence_number;
        yield event;
        if (LAST.has(event.type)) return;
      }
    } catch (error) {
      if (!mayPass(error) || signal?.aborted || !id) throw error;
    }
    brokenAt ??= Date.now();
    if (Date.now() - brokenAt > PATIENCE_MS) throw new Error("The connection broke, and the server has not answered for five minutes.");
    await pause();
  }
}

function pause() {
  return new Promise((done) => setTimeout(done, PAUSE_MS));
}

/** A broken connection and a server that restarts may pass; what the server refuses does not. */
function mayPass(error) {
  return !(error instanceof ApiError) || error.status >= 500 || error.status === 429;
}
