// Can a page of another origin, in Chromium, stream, lose the network, resume and cancel, with the SDK and without?
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { connect, createServer as createRelay } from "node:net";
import { extname, join, normalize } from "node:path";
import { chromium } from "playwright-core";
import { apiKey, baseURL, counted, model, tell } from "./telling.mjs";

const port = Number(process.env.PAGE_PORT);
const [listed, unlisted] = [`http://localhost:${port}`, `http://127.0.0.1:${port}`];
const long = 1000;
const types = { ".mjs": "text/javascript", ".js": "text/javascript", ".html": "text/html" };

createServer(async (request, answer) => {
  const path = normalize(new URL(request.url, listed).pathname);
  const file = path.startsWith("/openai/") ? join("node_modules", path) : "browser.html";
  const content = await readFile(join(import.meta.dirname, file)).catch(() => null);
  answer.writeHead(content ? 200 : 404, { "content-type": types[extname(file)] ?? "text/plain" }).end(content);
}).listen(port);

const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"];
const quiet = ["--disable-background-networking", "--disable-component-update"];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: [...args, ...quiet] });

// Between the pages and the API lies a network of ours, for Chromium's own switch spares what is under way.
const way = new Set();
const relay = createRelay((near) => {
  const far = connect(Number(new URL(baseURL).port), "127.0.0.1");
  for (const [one, other] of [[near, far], [far, near]]) {
    way.add(one.pipe(other));
    one.on("error", () => other.destroy()).on("close", () => (way.delete(one), other.destroy()));
  }
}).listen(0, "127.0.0.1");
const near = () => `http://127.0.0.1:${relay.address().port}/v1`;

async function network(page, { there }) {
  await page.context().setOffline(!there);
  if (!there) for (const socket of way) socket.destroy();
}

async function opened(origin = listed) {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(120_000); // a guard against hanging, on a busy machine too
  await page.goto(origin);
  await page.evaluate((given) => window.begin(given), { baseURL: near(), apiKey, model });
  return page;
}

async function broken(page, follow) {
  const reading = page.evaluate(follow, `COUNT ${long}`);
  await page.waitForFunction(() => window.seen.length > 15);
  await network(page, { there: false });
  const problem = await reading;
  assert.ok(problem, "the stream went on without a network");
  const seen = await page.evaluate(() => window.seen.length);
  assert.ok(seen < long, "the whole answer had come before the network went");
  await network(page, { there: true });
}

async function whole(page) {
  const { numbers, text } = await page.evaluate(() => window.told());
  assert.deepEqual(numbers, [...numbers.keys()]);
  assert.equal(text, counted(long));
}

const withFetch = {
  async stream() {
    const page = await opened();
    assert.equal(await page.evaluate(() => window.ask({ input: "COUNT 30" })), null);
    assert.equal((await page.evaluate(() => window.told())).text, counted(30));
    assert.match(await page.evaluate(() => window.requestId), /^req_/);
  },
  async "resume after the network was gone"() {
    const page = await opened();
    await broken(page, (input) => window.ask({ input, background: true }));
    assert.equal(await page.evaluate(() => window.goOn()), null);
    await whole(page);
  },
  async cancel() {
    const page = await opened();
    const reading = page.evaluate(() => window.ask({ input: "FAIL stall COUNT 2000", background: true }));
    await page.waitForFunction(() => window.seen.length > 5);
    assert.equal(await page.evaluate(() => window.cancel()), "cancelled");
    assert.equal(await reading, null);
    const last = await page.evaluate(() => window.seen.at(-1));
    assert.deepEqual([last.type, last.response.status], ["response.failed", "cancelled"]);
  },
  async "no other origin may call"() {
    const page = await opened(unlisted);
    assert.match(await page.evaluate(() => window.ask({ input: "COUNT 3" })), /Failed to fetch/);
  },
};

const withSdk = {
  async stream() {
    const page = await opened();
    assert.equal(await page.evaluate(() => window.sdkAsk({ input: "COUNT 30" })), null);
    assert.equal((await page.evaluate(() => window.told())).text, counted(30));
  },
  async "resume after the network was gone"() {
    const page = await opened();
    await broken(page, (input) => window.sdkAsk({ input, background: true }));
    assert.equal(await page.evaluate(() => window.sdkGoOn()), null);
    await whole(page);
  },
  async cancel() {
    const page = await opened();
    const reading = page.evaluate(() => window.sdkAsk({ input: "FAIL stall COUNT 2000", background: true }));
    await page.waitForFunction(() => window.seen.length > 5);
    assert.equal(await page.evaluate(() => window.sdkCancel()), "cancelled");
    assert.equal(await reading, null);
    assert.equal(await page.evaluate(() => window.seen.at(-1).response.status), "cancelled");
  },
};

const name = `Chromium ${browser.version().split(".")[0]}`;
await tell({ [`${name}, fetch`]: withFetch, [`${name}, openai`]: withSdk }, () => browser.close());
