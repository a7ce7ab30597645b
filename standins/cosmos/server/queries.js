// Which documents does a query find, and how is a query across partitions answered?

const parse = require("@zeit/cosmosdb-query").default;
const { effective } = require("./keys");
const { Refusal } = require("./refusal");

const PAGE = /\s+OFFSET\s+(@?\w+)\s+LIMIT\s+(@?\w+)\s*$/i;
const ORDER = /\s+ORDER\s+BY\s+(.+)$/is;
const NEEDS_PLAN = /\b(ORDER\s+BY|TOP|OFFSET|DISTINCT|GROUP\s+BY|COUNT|SUM|AVG|MIN|MAX)\b/i;
const STAR = /^\s*SELECT\s+(?:TOP\s+(\d+)\s+)?\*\s+FROM\s+(\w+)\s*(?:WHERE\s+(.+))?$/is;
const FILTER = "{documentdb-formattableorderbyquery-filter}";
const KEPT = 500;
const NO_STRINGS = /'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"/g;

const parsed = new Map();

// Parsing takes milliseconds, so the last parsed queries are cached.
function engine(sql) {
  const found = parsed.get(sql) ?? parse(sql);
  parsed.delete(sql);
  parsed.set(sql, found);
  if (parsed.size > KEPT) parsed.delete(parsed.keys().next().value);
  return found;
}

// Cosmos DB's gateway does not serve these across partitions: the client fetches a plan and merges the results.
function needsPlan(sql) {
  return NEEDS_PLAN.test(sql.replace(NO_STRINGS, "''"));
}

// Tells whether a patch's condition holds. Its numbers become parameters, so that the cached query is reused.
function holds(condition, document) {
  const parameters = [];
  const named = /["']/.test(condition)
    ? condition
    : condition.replace(/(?<![\w.@])\d+(\.\d+)?/g, number => {
        parameters.push({ name: `@n${parameters.length}`, value: Number(number) });
        return parameters.at(-1).name;
      });
  try {
    return engine(`SELECT * ${named}`).exec([document], { parameters }).result.length > 0;
  } catch (error) {
    throw new Refusal(400, `the condition can't be read: ${error.message}`);
  }
}

function numberOf(text, parameters) {
  const value = text.startsWith("@") ? parameters.find(each => each.name === text)?.value : Number(text);
  if (!Number.isInteger(value) || value < 0) throw new Refusal(400, "OFFSET and LIMIT take whole numbers");
  return value;
}

function run(sql, documents, { parameters = [], compositeIndexes = [], functions, limit, continuation } = {}) {
  const page = PAGE.exec(sql);
  try {
    const ready = engine(page ? sql.slice(0, page.index) : sql);
    const options = { parameters, compositeIndexes, udf: functions };
    if (!page) return paged(ready.exec(documents, options).result, limit, continuation);
    const [offset, count] = page.slice(1).map(text => numberOf(text, parameters));
    return paged(ready.exec(documents, options).result.slice(offset, offset + count), limit, continuation);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(400, `the query can't be run: ${error.message}`);
  }
}

// A continuation is a position in the result, which the next page computes again.
function paged(result, limit, continuation) {
  const start = continuation ? Number(continuation) : 0;
  if (!Number.isInteger(start)) throw new Refusal(400, "the continuation is none of ours");
  const end = limit > 0 ? start + limit : result.length;
  return { result: result.slice(start, end), continuation: end < result.length ? String(end) : undefined };
}

// Returns the partitions of a request: one by its key, a range of hashes (a key's prefix), or all.
function scope({ key, range, kind }) {
  if (key) {
    const name = JSON.stringify(key);
    return each => JSON.stringify(each) === name;
  }
  if (!range) return () => true;
  return each => {
    const place = effective(each, kind);
    return place >= range.start && place < range.end;
  };
}

function parts(sql) {
  const page = PAGE.exec(sql);
  const body = page ? sql.slice(0, page.index) : sql;
  const order = ORDER.exec(body);
  const star = STAR.exec(order ? body.slice(0, order.index) : body);
  return { page, order, star };
}

function ordering(text) {
  const terms = text.split(",").map(term => /^\s*(.+?)(?:\s+(ASC|DESC))?\s*$/i.exec(term));
  return {
    expressions: terms.map(term => term[1]),
    directions: terms.map(term => (/desc/i.test(term[2] ?? "") ? "Descending" : "Ascending")),
  };
}

// The plan that the client executes: its own limit and order, and the query for each range.
function plan({ query: sql, parameters = [] }) {
  const { page, order, star } = parts(sql);
  if (!star) throw new Refusal(400, "across partitions only SELECT * is planned here");
  const [, top, alias, where] = star;
  const { expressions, directions } = order ? ordering(order[1]) : { expressions: [], directions: [] };
  const [offset, limit] = page ? page.slice(1).map(text => numberOf(text, parameters)) : [null, null];
  const filter = where ? `(${where}) AND (${FILTER})` : FILTER;
  const items = expressions.map(expression => `{"item": ${expression}}`).join(", ");
  const rewritten = order
    ? `SELECT ${alias}._rid, [${items}] AS orderByItems, ${alias} AS payload FROM ${alias} WHERE ${filter} ORDER BY ${order[1]}`
    : `SELECT * FROM ${alias}${where ? ` WHERE ${where}` : ""}`;
  return {
    partitionedQueryExecutionInfoVersion: 2,
    queryInfo: {
      distinctType: "None",
      top: top ? Number(top) : null,
      offset,
      limit,
      orderBy: directions,
      orderByExpressions: expressions,
      groupByExpressions: [],
      groupByAliases: [],
      aggregates: [],
      groupByAliasToAggregateType: {},
      rewrittenQuery: rewritten,
      hasSelectValue: false,
      hasNonStreamingOrderBy: false,
    },
    queryRanges: [{ min: "", max: "FF", isMinInclusive: true, isMaxInclusive: false }],
  };
}

module.exports = { holds, needsPlan, plan, run, scope };
