// How does a patch change a document?

const { Refusal } = require("./refusal");

const OPERATIONS_LIMIT = 10;
const FIXED = new Set(["id", "_rid", "_ts", "_etag", "_self"]);

const steps = path => path.slice(1).split("/").map(step => step.replaceAll("~1", "/").replaceAll("~0", "~"));
const has = (parent, name) => Object.hasOwn(parent, name);

function needed(parent, name) {
  if (!has(parent, name)) throw new Refusal(400, `there is nothing at ${name}`);
}

function put(parent, name, value) {
  if (!Array.isArray(parent)) parent[name] = value;
  else if (name === "-") parent.push(value);
  else parent.splice(Number(name), 0, value);
}

const ACTIONS = {
  add: put,
  set: (parent, name, value) => (Array.isArray(parent) && name !== "-" ? (parent[name] = value) : put(parent, name, value)),
  replace: (parent, name, value) => {
    needed(parent, name);
    parent[name] = value;
  },
  remove: (parent, name) => {
    needed(parent, name);
    Array.isArray(parent) ? parent.splice(Number(name), 1) : delete parent[name];
  },
  incr: (parent, name, value) => {
    const before = has(parent, name) ? parent[name] : 0;
    if (typeof before !== "number" || typeof value !== "number") throw new Refusal(400, `${name} is not a number`);
    parent[name] = before + value;
  },
};

function apply(document, { op, path, value }, fixed) {
  const names = steps(path);
  if (FIXED.has(names[0]) || fixed.has(path)) throw new Refusal(400, `${path} can't be patched`);
  const last = names.pop();
  const parent = names.reduce((node, name) => node?.[name], document);
  if (parent === null || typeof parent !== "object") throw new Refusal(400, `there is nothing above ${path}`);
  if (!has(ACTIONS, op)) throw new Refusal(400, `${op} is no operation of a patch`);
  ACTIONS[op](parent, last, value);
}

// Returns a patched copy; `paths` are the partition key's, which no patch may change.
function patched(document, operations, paths) {
  if (!operations?.length || operations.length > OPERATIONS_LIMIT) {
    throw new Refusal(400, `a patch has 1 to ${OPERATIONS_LIMIT} operations`);
  }
  const copy = structuredClone(document);
  for (const operation of operations) apply(copy, operation, new Set(paths));
  return copy;
}

module.exports = { patched };
