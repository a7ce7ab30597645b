// How are the documents of one container stored, by partition and until they expire?

const { randomUUID } = require("crypto");
const Base = require("@vercel/cosmosdb-server/lib/account/documents").default;
const charges = require("./charges");
const { at, keyOf, nameOf, same } = require("./keys");
const { patched } = require("./patch");
const { holds } = require("./queries");
const { Refusal } = require("./refusal");

const BATCH_LIMIT = 100;
const ITEM_BYTES = 2 * 1024 * 1024;
const ID_LIMIT = 1023;
const ILLEGAL = /[/\\?#]/;
const seconds = () => Math.floor(Date.now() / 1000);

function checkId(id) {
  if (typeof id !== "string" || !id || id.length > ID_LIMIT || ILLEGAL.test(id)) {
    throw new Refusal(400, "the id is missing or not allowed");
  }
}

class Documents extends Base {
  constructor(parent, paths, uniqueKeyPaths = []) {
    super(parent, paths, uniqueKeyPaths);
    this.paths = paths;
    this.unique = uniqueKeyPaths;
    this.partitions = new Map();
    this.last = 0;
  }

  live(document) {
    const standard = this._parent.read()?.defaultTtl;
    const ttl = standard === undefined || standard === null ? -1 : document.ttl ?? standard;
    return ttl === -1 || document._ts + ttl > seconds();
  }

  // A copy of the partition's documents by id; a commit replaces the original by the copy.
  partition(key) {
    const there = this.partitions.get(nameOf(key))?.documents ?? new Map();
    return new Map([...there].filter(([, document]) => this.live(document)));
  }

  commit(key, documents) {
    const before = this.partitions.get(nameOf(key))?.documents ?? new Map();
    const changed = [...documents.values()].filter(document => before.get(document.id) !== document);
    const gone = [...before.keys()].filter(id => !documents.has(id));
    this.keep(key, documents);
    if (changed.length || gone.length) Documents.journal?.append({ place: this._parent.read()._self, key, changed, gone });
  }

  forget() {
    for (const { key } of [...this.partitions.values()]) this.commit(key, new Map());
  }

  keep(key, documents) {
    if (documents.size) this.partitions.set(nameOf(key), { key, documents });
    else this.partitions.delete(nameOf(key));
  }

  all(wanted) {
    const found = [...this.partitions.values()].filter(({ key }) => wanted(key));
    return found.flatMap(({ documents }) => [...documents.values()].filter(document => this.live(document)));
  }

  one(key, operation) {
    const [result] = this.batch(key, [operation]);
    if (result.refusal) throw result.refusal;
    return result;
  }

  // Applies all operations or none; after the first rejected one the others get 424.
  batch(key, operations) {
    if (key.length !== this.paths.length) throw new Refusal(400, "the partition key is not the container's whole key", 1001);
    if (operations.length > BATCH_LIMIT) throw new Refusal(400, `a batch has at most ${BATCH_LIMIT} operations`);
    const documents = this.partition(key);
    const results = [];
    for (const operation of operations) results.push(this.attempt(key, documents, operation));
    const failed = results.findIndex(result => result.refusal);
    if (failed < 0) this.commit(key, documents);
    return failed < 0 ? results : results.map((result, index) => (index === failed ? result : { status: 424, charge: 0 }));
  }

  attempt(key, documents, operation) {
    const act = ACTIONS[operation.type];
    if (!act) throw new Refusal(400, `${operation.type} is no operation of a batch`);
    try {
      return act(this, key, documents, operation);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      error.charge = operation.type === "Read" ? charges.read() : charges.REFUSED_UNITS;
      return { status: error.status, charge: error.charge, refusal: error };
    }
  }

  put(key, documents, body, before) {
    checkId(body?.id);
    if (Buffer.byteLength(JSON.stringify(body)) > ITEM_BYTES) throw new Refusal(413, "the item is too large");
    if (!same(keyOf(body, this.paths), key)) throw new Refusal(400, "the document has another partition key", 1001);
    if (body.ttl !== undefined && !(Number.isInteger(body.ttl) && (body.ttl > 0 || body.ttl === -1))) {
      throw new Refusal(400, "ttl is -1 or a whole number above 0");
    }
    this.checkUnique(documents, body);
    const _rid = before?._rid ?? this._rid((this.last += 1));
    const fields = { _rid, _self: this._self(_rid), _etag: `"${randomUUID()}"`, _attachments: "attachments/", _ts: seconds() };
    const document = { ...body, ...fields };
    documents.set(body.id, document);
    return document;
  }

  checkUnique(documents, body) {
    if (!this.unique.length) return;
    const taken = each => each.id !== body.id && this.unique.every(path => at(each, path) === at(body, path));
    if ([...documents.values()].some(taken)) throw new Refusal(409, "a unique key is taken");
  }
}

function there(documents, { id, ifMatch }) {
  const document = documents.get(id);
  if (!document) throw new Refusal(404, "Entity with the specified id does not exist in the system.", 0);
  if (ifMatch && ifMatch !== "*" && ifMatch !== document._etag) {
    throw new Refusal(412, "One of the specified pre-condition is not met.");
  }
  return document;
}

const ACTIONS = {
  Create(store, key, documents, { body }) {
    if (documents.has(body?.id)) throw new Refusal(409, "Entity with the specified id already exists in the system.");
    const document = store.put(key, documents, body);
    return { status: 201, document, charge: charges.write(document) };
  },
  Upsert(store, key, documents, { body, ifMatch }) {
    const before = documents.has(body?.id) ? there(documents, { id: body.id, ifMatch }) : undefined;
    const document = store.put(key, documents, body, before);
    return before
      ? { status: 200, document, charge: charges.rewrite(document) }
      : { status: 201, document, charge: charges.write(document) };
  },
  Read(_store, _key, documents, { id }) {
    const document = there(documents, { id });
    return { status: 200, document, charge: charges.read(document) };
  },
  Replace(store, key, documents, { id, body, ifMatch }) {
    const before = there(documents, { id, ifMatch });
    if (body?.id !== id) throw new Refusal(400, "the id can't be replaced");
    const document = store.put(key, documents, body, before);
    return { status: 200, document, charge: charges.rewrite(document) };
  },
  Delete(_store, _key, documents, { id, ifMatch }) {
    const before = there(documents, { id, ifMatch });
    documents.delete(id);
    return { status: 204, charge: charges.write(before) };
  },
  Patch(store, key, documents, { id, ifMatch, patch }) {
    const before = there(documents, { id, ifMatch });
    if (patch.condition && !holds(patch.condition, before)) throw new Refusal(412, "the filter predicate does not hold");
    const document = store.put(key, documents, patched(before, patch.operations, store.paths), before);
    return { status: 200, document, charge: charges.rewrite(document) };
  },
};

// Restores one commit from the journal.
function restore(account, { place, key, changed, gone }) {
  const [, , database, , container] = place.split("/");
  const store = account.database(database).collection(container).documents;
  const documents = new Map(store.partitions.get(nameOf(key))?.documents);
  for (const id of gone) documents.delete(id);
  for (const document of changed) documents.set(document.id, document);
  store.last += changed.length;
  store.keep(key, documents);
}

module.exports = { Documents, restore };
