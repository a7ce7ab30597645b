// Which parts of the package are replaced because they differ from Cosmos DB?

const SERVER = "@vercel/cosmosdb-server/lib";

function replaceDocuments() {
  const module = require(`${SERVER}/account/documents`);
  const { Documents } = require("./documents");
  module.default = Documents;
}

function replaceHandlers() {
  for (const [name, handler] of Object.entries(require("./handlers"))) {
    require(`${SERVER}/handler/${name}`).default = handler;
  }
}

// A container whose policies change keeps its documents.
function keepDocuments() {
  const Collections = require(`${SERVER}/account/collections`).default;
  const { replace } = Collections.prototype;
  Collections.prototype.replace = function keeping(data, original) {
    const { documents } = this._item("/id", original.id, original.id);
    const result = replace.call(this, data, original);
    const there = this._item("/id", result.id, result.id);
    documents._parent = there;
    there.documents = documents;
    return result;
  };
}

function makeAccount(host, port) {
  const Account = require(`${SERVER}/account`).default;
  const account = new Account(host, port);
  account.read().userConsistencyPolicy.defaultConsistencyLevel = "Strong";
  return account;
}

function mend() {
  replaceDocuments();
  replaceHandlers();
  keepDocuments();
}

module.exports = { makeAccount, mend };
