// Does the Vercel AI SDK work with each of its providers that speak to such a server?
import assert from "node:assert/strict";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { createOpenResponses } from "@ai-sdk/open-responses";
import { generateText, isStepCount, Output, streamText, tool } from "ai";
import { z } from "zod";
import {
  apiKey, baseURL, counted, exact, holds, lost, model as name, notes, noting, says, searching, shopping, tell,
} from "./telling.mjs";

const openai = createOpenAI({ baseURL, apiKey });
const models = {
  "@ai-sdk/openai, responses": openai.responses(name),
  "@ai-sdk/openai, chat": openai.chat(name),
  "@ai-sdk/open-responses": createOpenResponses({ name: "ganglion", url: `${baseURL}/responses`, apiKey })(name),
  "@ai-sdk/openai-compatible": createOpenAICompatible({
    name: "ganglion",
    baseURL,
    apiKey,
    supportsStructuredOutputs: true,
  }).chatModel(name),
};
const city = z.enum(["Rome", "Paris"]);
const weather = tool({
  description: "Tells the weather.",
  inputSchema: z.object({ city }),
  execute: async ({ city }) => `sunny in ${city}`,
});
const schema = z.object({ city, days: z.number().int().min(1).max(30) });
const loop = { tools: { weather }, stopWhen: isStepCount(3), prompt: "CALL weather" };

// Only this provider offers tools that a server runs.
const served = {
  shop: openai.tools.mcp({ serverLabel: "shop", serverUrl: process.env.SHOP_URL, requireApproval: "never" }),
};
const serverTools = {
  async "server tools"() {
    const { text, toolCalls } = await generateText({ model: openai.responses(name), tools: served, prompt: shopping });
    says(text, "refunded");
    assert.equal(toolCalls.length, 2);
  },
  async "streamed server tools"() {
    const streamed = streamText({ model: openai.responses(name), tools: served, prompt: shopping });
    says(await streamed.text, "refunded");
    assert.equal((await streamed.toolResults).length, 2);
  },
};


serverTools["failed server tools"] = async () => {
  const given = { model: openai.responses(name), tools: served, prompt: lost };
  const { text, content } = await generateText(given);
  says(text, "sorry");
  const result = content.find((part) => ["tool-result", "tool-error"].includes(part.type));
  assert.match(JSON.stringify(result), /http_error/);
  says(await streamText(given).text, "sorry");
};

serverTools["file search"] = async () => {
  const tools = { file_search: openai.tools.fileSearch({ vectorStoreIds: ["documents"] }) };
  const include = ["file_search_call.results"];
  const given = { model: openai.responses(name), tools, prompt: searching, providerOptions: { openai: { include } } };
  const { text, toolResults } = await generateText(given);
  says(text, "36 months");
  assert.match(toolResults[0].output.results[0].text, /36 months/);
  says(await streamText(given).text, "36 months");
};

// The kit streams the request; what follows its answer is streamed too.
serverTools["streamed approval"] = async () => {
  const asks = { shop: openai.tools.mcp({ serverLabel: "shop", serverUrl: process.env.SHOP_URL, requireApproval: "always" }) };
  for (const approved of [true, false]) {
    const before = await notes();
    const messages = [{ role: "user", content: noting }];
    const given = { model: openai.responses(name), tools: asks };
    const asked = streamText({ ...given, messages });
    const requests = (await asked.content).filter((part) => part.type === "tool-approval-request");
    assert.equal(requests.length, 1);
    messages.push(...(await asked.response).messages);
    const [{ approvalId }] = requests;
    messages.push({ role: "tool", content: [{ type: "tool-approval-response", approvalId, approved, providerExecuted: true }] });
    says(await streamText({ ...given, messages }).text, "noted");
    assert.equal(await notes(), before + (approved ? 1 : 0));
  }
};

// The server asks for an approval: the kit shows it, and sends the answer with a reference to the request.
serverTools.approval = async () => {
  const asks = { shop: openai.tools.mcp({ serverLabel: "shop", serverUrl: process.env.SHOP_URL, requireApproval: "always" }) };
  for (const approved of [true, false]) {
    const before = await notes();
    const messages = [{ role: "user", content: noting }];
    const given = { model: openai.responses(name), tools: asks };
    const asked = await generateText({ ...given, messages });
    const requests = asked.content.filter((part) => part.type === "tool-approval-request");
    assert.equal(requests.length, 1);
    assert.equal(await notes(), before);
    const { approvalId } = requests[0];
    messages.push(...asked.response.messages);
    messages.push({ role: "tool", content: [{ type: "tool-approval-response", approvalId, approved, providerExecuted: true }] });
    says((await generateText({ ...given, messages })).text, "noted");
    assert.equal(await notes(), before + (approved ? 1 : 0));
  }
};

const checksOf = (kit, model) => ({
  async text() {
    const { text, usage } = await generateText({ model, prompt: "COUNT 7", temperature: 0 });
    says(text, counted(7));
    assert.ok(usage.outputTokens > 0);
  },
  async stream() {
    const { textStream, finishReason } = streamText({ model, prompt: "COUNT 30", temperature: 0 });
    let text = "";
    for await (const delta of textStream) text += delta;
    says(text, counted(30));
    assert.equal(await finishReason, "stop");
  },
  async limit() {
    const cut = streamText({ model, prompt: "COUNT 30", maxOutputTokens: 16 });
    says(await cut.text, counted(16));
    if (exact) assert.equal(await cut.finishReason, "length");
  },
  async tools() {
    const { text, steps } = await generateText({ model, ...loop });
    says(text, "weather said: sunny in Rome");
    assert.equal(steps.length, 2);
  },
  async "streamed tools"() {
    says(await streamText({ model, ...loop }).text, "weather said: sunny in Rome");
  },
  async "forced tool"() {
    const asked = { prompt: "Rome?", tools: { weather }, toolChoice: "required" };
    const { toolCalls } = await generateText({ model, ...asked });
    holds(toolCalls[0].input, { city: "Rome" });
  },
  async "structured output"() {
    const { output } = await generateText({ model, prompt: "Plan a trip.", output: Output.object({ schema }) });
    holds(output, { city: "Rome", days: 1 });
  },
  async conversation() {
    const first = await generateText({ model, prompt: "ECHO green" });
    const messages = [{ role: "user", content: "ECHO green" }, ...first.response.messages];
    const { text } = await generateText({ model, messages: [...messages, { role: "user", content: "RECALL" }] });
    says(text, "ECHO green");
    if (kit === "@ai-sdk/openai, responses") await goesOn(model, first.providerMetadata.openai.responseId);
  },
});

async function goesOn(model, previousResponseId) {
  const { text } = await generateText({ model, prompt: "RECALL", providerOptions: { openai: { previousResponseId } } });
  says(text, "ECHO green");
  const made = await fetch(`${baseURL}/conversations`, {
    method: "POST",
    headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json" },
    body: "{}",
  });
  const providerOptions = { openai: { conversation: (await made.json()).id } };
  await generateText({ model, prompt: "ECHO blue", providerOptions });
  says((await generateText({ model, prompt: "RECALL", providerOptions })).text, "ECHO blue");
}

const checks = Object.fromEntries(Object.entries(models).map(([kit, model]) => [kit, checksOf(kit, model)]));
Object.assign(checks["@ai-sdk/openai, responses"], serverTools);
await tell(checks);
