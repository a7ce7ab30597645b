// How is one HTTP request answered?

const { randomUUID } = require("crypto");
const { Readable } = require("stream");
const routes = require("@vercel/cosmosdb-server/lib/routes").default;
const access = require("./access");
const charges = require("./charges");
const { restore } = require("./documents");
const { refusalOf } = require("./faults");
const { Refusal } = require("./refusal");

const BODY_LIMIT = 4 * 1024 * 1024;

async function readJson(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > BODY_LIMIT) throw new Refusal(413, "Request size is too large");
    chunks.push(chunk);
  }
  try {
    return size ? JSON.parse(Buffer.concat(chunks)) : undefined;
  } catch {
    throw new Refusal(400, "the body is not JSON");
  }
}

const withoutSlashes = path => `/${path.split("/").filter(Boolean).join("/")}`;

class Listener {
  constructor(state) {
    this.state = state;
    this.sequence = 0;
  }

  async answer(request, response) {
    request.path = withoutSlashes(new URL(request.url, "http://local").pathname);
    let body;
    let fault;
    try {
      request.json = await readJson(request);
      body = this.state.faults.answer(request) ?? this.emptied(request);
      if (!body) {
        access.check(request, this.state);
        fault = this.state.faults.next(request);
        if (fault?.when === "before") throw refusalOf(fault);
        body = await this.route(request, response);
        this.keep(request, response);
        if (fault?.when === "after") throw refusalOf(fault);
      }
    } catch (error) {
      body = refused(response, error);
    }
    this.record(request, response);
    if (fault?.when === "lost") request.socket.destroy();
    else this.send(request, response, body);
  }

  // For tests: DELETE /__documents/DATABASE removes every document and keeps the containers.
  emptied({ method, path }) {
    if (method !== "DELETE" || !path.startsWith("/__documents/")) return undefined;
    const { collections } = this.state.account.database(path.split("/")[2]);
    for (const each of collections._data.values()) each.documents.forget();
    return { emptied: true };
  }

  // The handlers of the package read the body themselves, so it is replayed to them.
  async route(request, response) {
    if (request.headers["x-ms-cosmos-is-query-plan-request"]) request.headers["x-ms-documentdb-isquery"] = "True";
    const route = routes(request);
    if (!route) throw new Refusal(400, "no such route");
    const [params, handler] = route;
    const readable = Object.assign(replay(request), { headers: request.headers, method: request.method, url: request.url });
    readable.json = request.json;
    const body = await handler(this.state.account, readable, response, params);
    if (request.headers["a-im"] && request.headers["if-none-match"]) response.statusCode = 304;
    if (request.headers["a-im"]) response.setHeader("etag", '"1"');
    return body;
  }

  // The journal keeps changes of databases and containers as requests.
  keep({ method, url, path, json, headers }, { statusCode }) {
    const managed = !path.includes("/docs") && method !== "GET" && !headers["x-ms-documentdb-isquery"];
    if (managed && statusCode < 300) this.state.journal.append({ method, url, json });
  }

  async play(entry) {
    if (entry.place) restore(this.state.account, entry);
    else await this.route({ ...entry, headers: {} }, { setHeader() {} });
  }

  send(request, response, body) {
    this.sequence += 1;
    response.setHeader("content-type", "application/json");
    response.setHeader("x-ms-activity-id", request.headers["x-ms-activity-id"] ?? randomUUID());
    response.setHeader("x-ms-request-charge", String(charges.rounded(response.charge ?? 1)));
    response.setHeader("x-ms-session-token", `0:-1#${this.sequence}`);
    const [, dbs, database, colls, container] = request.path.split("/");
    if (colls === "colls" && container) response.setHeader("x-ms-alt-content-path", [dbs, database, colls, container].join("/"));
    if (body?._etag && !response.hasHeader("etag")) response.setHeader("etag", body._etag);
    const empty = body === undefined || [204, 304].includes(response.statusCode);
    response.end(empty ? undefined : JSON.stringify(body));
  }

  record(request, response) {
    if (request.path.startsWith("/__")) return;
    const { headers, method, path } = request;
    this.state.faults.record({
      method,
      path: decodeURIComponent(path),
      key: headers["x-ms-documentdb-partitionkey"],
      across: String(headers["x-ms-documentdb-query-enablecrosspartition"]).toLowerCase() === "true",
      query: headers["x-ms-documentdb-isquery"] ? request.json?.query : undefined,
      auth: decodeURIComponent(headers.authorization ?? "").match(/type=(\w+)/)?.[1],
      status: response.statusCode,
      charge: charges.rounded(response.charge ?? 1),
    });
  }
}

function replay(request) {
  return Readable.from(request.json === undefined ? [] : [Buffer.from(JSON.stringify(request.json))]);
}

function refused(response, error) {
  const known = error instanceof Refusal;
  if (!known) console.error(error);
  response.statusCode = known ? error.status : 500;
  response.charge = error.charge ?? charges.REFUSED_UNITS;
  if (error.substatus !== undefined) response.setHeader("x-ms-substatus", String(error.substatus));
  if (error.retryAfterMs !== undefined) response.setHeader("x-ms-retry-after-ms", String(error.retryAfterMs));
  return known ? error.body : { code: "InternalServerError", message: error.message };
}

module.exports = { Listener };
