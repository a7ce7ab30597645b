// What does each request on documents do?

const charges = require("./charges");
const { keyFromHeader } = require("./keys");
const { needsPlan, plan, run, scope } = require("./queries");
const { Refusal } = require("./refusal");

const NO_PLAN = 1004;
const NO_CONTAINER = 1003;
const is = (request, name) => String(request.headers[name]).toLowerCase() === "true";

function container(account, { dbId, collId }) {
  const found = account.database(dbId).collection(collId);
  if (!found.read()) throw new Refusal(404, "Owner resource does not exist", NO_CONTAINER);
  return found;
}

function keyOf(request) {
  const key = keyFromHeader(request.headers["x-ms-documentdb-partitionkey"]);
  if (!key) throw new Refusal(400, "the request names no partition key", 1001);
  return key;
}

// Answers a point operation; `operation` holds everything but the id and the condition.
function point(operation) {
  return (account, request, response, params) => {
    const { documents } = container(account, params);
    const done = documents.one(keyOf(request), {
      id: params.docId,
      ifMatch: request.headers["if-match"],
      ...operation(request.json),
    });
    response.statusCode = done.status;
    response.charge = done.charge;
    const minimal = done.document && operation().type !== "Read" && request.headers.prefer === "return=minimal";
    if (done.document) response.setHeader("etag", done.document._etag);
    if (done.document?._etag === request.headers["if-none-match"]) response.statusCode = 304;
    return minimal ? undefined : done.document;
  };
}

function fromBatch({ operationType: type, id, ifMatch, resourceBody: body }) {
  return { type, id: id ?? body?.id, ifMatch, body, patch: type === "Patch" ? patchOf(body) : undefined };
}

const patchOf = body => (Array.isArray(body) ? { operations: body } : body);

function batch(account, request, response, params) {
  if (!Array.isArray(request.json)) throw new Refusal(400, "a batch is a list of operations");
  const results = container(account, params).documents.batch(keyOf(request), request.json.map(fromBatch));
  response.statusCode = results.some(result => result.status >= 400) ? 207 : 200;
  response.charge = results.reduce((sum, result) => sum + result.charge, 0);
  return results.map(({ status, charge, document }) => ({
    statusCode: status,
    requestCharge: charges.rounded(charge),
    eTag: document?._etag,
    resourceBody: request.headers.prefer === "return=minimal" ? undefined : document,
  }));
}

function rangeOf({ headers }) {
  const [start, end] = [headers["x-ms-start-epk"], headers["x-ms-end-epk"]];
  return start === undefined ? undefined : { start, end };
}

function found(account, request, response, params, query) {
  const there = container(account, params);
  const { partitionKey, indexingPolicy } = there.read();
  const key = keyFromHeader(request.headers["x-ms-documentdb-partitionkey"]);
  const range = rangeOf(request);
  const ranged = range || request.headers["x-ms-documentdb-partitionkeyrangeid"];
  if (key && key.length !== partitionKey.paths.length) {
    throw new Refusal(400, "the partition key is not the container's whole key", 1001);
  }
  if (!key && !ranged) checkAcross(request, query.query);
  const documents = there.documents.all(scope({ key, range, kind: partitionKey.kind }));
  const page = run(query.query, documents, {
    parameters: query.parameters,
    compositeIndexes: indexingPolicy?.compositeIndexes,
    functions: there.userDefinedFunctions.functions,
    limit: Number(request.headers["x-ms-max-item-count"] ?? 100),
    continuation: request.headers["x-ms-continuation"],
  });
  if (page.continuation) response.setHeader("x-ms-continuation", page.continuation);
  response.setHeader("x-ms-item-count", String(page.result.length));
  response.charge = charges.query(page.result);
  return { _rid: there.read()._rid, Documents: page.result, _count: page.result.length };
}

function checkAcross(request, sql) {
  if (!is(request, "x-ms-documentdb-query-enablecrosspartition")) {
    throw new Refusal(400, "Cross partition query is required but disabled.");
  }
  if (needsPlan(sql)) throw new Refusal(400, "the gateway can't serve this query across partitions", NO_PLAN);
}

function query(account, request, response, params) {
  if (typeof request.json?.query !== "string") throw new Refusal(400, "missing query");
  if (is(request, "x-ms-cosmos-is-query-plan-request")) return plan(request.json);
  return found(account, request, response, params, request.json);
}

function feed(account, request, response, params) {
  request.headers["x-ms-documentdb-query-enablecrosspartition"] = "true";
  return found(account, request, response, params, { query: "SELECT * FROM c" });
}

module.exports = {
  "batch-documents": batch,
  "create-document": point(body => ({ type: "Create", body })),
  "delete-document": point(() => ({ type: "Delete" })),
  "patch-document": point(body => ({ type: "Patch", patch: patchOf(body) })),
  "query-documents": query,
  "read-document": point(() => ({ type: "Read" })),
  "read-documents": feed,
  "replace-document": point(body => ({ type: "Replace", body })),
  "upsert-document": point(body => ({ type: "Upsert", body })),
};
