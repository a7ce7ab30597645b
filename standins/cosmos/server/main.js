// How does the local Cosmos DB start and end? `node main.js OPTIONS`, where OPTIONS is JSON:
// {port, host, pair, masterKeyFile, jwks, audience, journal}; it ends with SIGTERM and with its stdin.

const { fstatSync, readFileSync } = require("fs");
const https = require("https");
const { mend, makeAccount } = require("./mend");

mend();
const { Documents } = require("./documents");
const { Faults } = require("./faults");
const { recovered } = require("./journal");
const { Listener } = require("./listener");

function endWithStdin() {
  const stdin = fstatSync(0);
  if (!stdin.isFIFO() && !stdin.isSocket()) return;
  process.stdin.on("end", () => process.exit(0));
  process.stdin.resume();
}

function listening(server, port, host) {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => resolve(server.address().port));
  });
}

async function main(options) {
  endWithStdin();
  for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => process.exit(0));
  const masterKey = readFileSync(options.masterKeyFile, "utf8").trim();
  const state = { ...options, masterKey, faults: new Faults(), account: makeAccount(options.host, options.port) };
  const listener = new Listener(state);
  state.journal = await recovered(options.journal, entry => listener.play(entry));
  Documents.journal = state.journal;
  const tls = { cert: readFileSync(options.pair), key: readFileSync(options.pair), keepAliveTimeout: 60_000 };
  const server = https.createServer(tls, (request, response) => listener.answer(request, response));
  const port = await listening(server, options.port, options.host);
  console.log(JSON.stringify({ ready: true, port }));
}

main(JSON.parse(process.argv[2])).catch(error => {
  console.error(`cosmos: ${error.message}`);
  process.exit(1);
});
