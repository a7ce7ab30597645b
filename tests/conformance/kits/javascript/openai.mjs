// Does the official SDK work, unmodified?
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import OpenAI, { NotFoundError, toFile } from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import {
  asking, breakNextNote, counted, exact, holds, lost, model, notes, noting, says, search, searching, shop, shopping, tell,
} from "./telling.mjs";

const client = new OpenAI();
const parameters = {
  type: "object",
  properties: { city: { type: "string", enum: ["Rome", "Paris"] } },
  required: ["city"],
  additionalProperties: false,
};
const weather = { type: "function", name: "weather", description: "Tells the weather.", parameters, strict: true };
const chatWeather = { type: "function", function: { name: "weather", description: "Tells the weather.", parameters } };
const Trip = z.object({ city: z.enum(["Rome", "Paris"]), days: z.number().int().min(1).max(30) });

// Streams a turn with one call, gives all of it back as input, and returns the item of the call.
async function shown({ ends, said, ...given }) {
  const stream = client.responses.stream({ model, ...given });
  const seen = [];
  for await (const event of stream) seen.push(event.type);
  const { output, output_text } = await stream.finalResponse();
  assert.ok(seen.includes(ends), seen.join());
  says(output_text, said);
  const input = [{ role: "user", content: "ECHO green" }, ...output, { role: "user", content: "RECALL" }];
  says((await client.responses.create({ model, input })).output_text, "ECHO green");
  return output.at(-2);
}

const called = ["mcp_list_tools", "mcp_call", "mcp_call", "message"];
const responses = {
  async text() {
    const response = await client.responses.create({ model, input: "COUNT 7", temperature: 0 });
    says(response.output_text, counted(7));
    assert.equal(response.status, "completed");
  },
  async stream() {
    const stream = client.responses.stream({ model, input: "COUNT 30", temperature: 0 });
    const numbers = [];
    for await (const event of stream) numbers.push(event.sequence_number);
    assert.deepEqual(numbers, [...numbers.keys()]);
    says((await stream.finalResponse()).output_text, counted(30));
  },
  async limit() {
    const given = { input: "COUNT 30", max_output_tokens: 16, stream: true };
    let text = "", last;
    for await (const event of await client.responses.create({ model, ...given })) {
      if (event.type === "response.output_text.delta") text += event.delta;
      last = event;
    }
    says(text, counted(16));
    assert.equal(last.response.status, exact ? "incomplete" : last.response.status);
  },
  async tools() {
    const asked = await client.responses.create({ model, input: "CALL weather", tools: [weather] });
    const call = asked.output.find((item) => item.type === "function_call");
    assert.deepEqual(JSON.parse(call.arguments), { city: "Rome" });
    const result = { type: "function_call_output", call_id: call.call_id, output: "sunny" };
    const told = await client.responses.create({
      model,
      input: [{ role: "user", content: "CALL weather" }, ...asked.output, result],
      tools: [weather],
    });
    says(told.output_text, "weather said: sunny");
  },
  async "streamed tools"() {
    const stream = client.responses.stream({ model, input: "CALL weather", tools: [weather] });
    let deltas = "";
    for await (const event of stream) if (event.type === "response.function_call_arguments.delta") deltas += event.delta;
    const call = (await stream.finalResponse()).output.find((item) => item.type === "function_call");
    assert.equal(deltas, call.arguments);
  },
  async "forced tool"() {
    const asked = await client.responses.create({ model, input: "Rome?", tools: [weather], tool_choice: "required" });
    const call = asked.output.find((item) => item.type === "function_call");
    holds(JSON.parse(call.arguments), { city: "Rome" });
  },
  async "structured output"() {
    const response = await client.responses.parse({
      model,
      input: "Plan a trip.",
      text: { format: zodTextFormat(Trip, "trip") },
    });
    holds(response.output_parsed, { city: "Rome", days: 1 });
  },
  async conversation() {
    const conversation = await client.conversations.create();
    await client.responses.create({ model, input: "ECHO green", conversation: conversation.id });
    const second = await client.responses.create({ model, input: "RECALL", conversation: conversation.id });
    says(second.output_text, "ECHO green");
    const items = [];
    for await (const item of client.conversations.items.list(conversation.id, { order: "asc", limit: 2 })) items.push(item);
    assert.deepEqual(items.map((item) => item.role), ["user", "assistant", "user", "assistant"]);
  },
  async resume() {
    const started = await client.responses.create({ model, input: "COUNT 40", background: true, stream: true });
    let id, after;
    for await (const event of started) {
      if (event.type === "response.created") id = event.response.id;
      after = event.sequence_number;
      if (after === 4) break;
    }
    const numbers = [];
    for await (const event of await client.responses.retrieve(id, { stream: true, starting_after: after }))
      numbers.push(event.sequence_number);
    assert.deepEqual(numbers, numbers.map((_, index) => index + 5));
    says((await client.responses.retrieve(id)).output_text, counted(40));
  },
  async "server tools"() {
    const asked = await client.responses.create({ model, input: shopping, tools: [shop] });
    assert.deepEqual(asked.output.map((item) => item.type), called);
    says(asked.output_text, "refunded");
    const input = [{ role: "user", content: "ECHO green" }, ...asked.output, { role: "user", content: "RECALL" }];
    says((await client.responses.create({ model, input })).output_text, "ECHO green");
  },
  async "failed server tools"() {
    const ends = "response.mcp_call.failed";
    const failed = await shown({ input: lost, tools: [shop], ends, said: "sorry" });
    assert.deepEqual([failed.type, failed.status, failed.output], ["mcp_call", "failed", null]);
    assert.deepEqual([failed.error.type, failed.error.code], ["http_error", 404]);
    await breakNextNote();
    const unknown = await shown({ input: noting, tools: [shop], ends, said: "noted" });
    assert.deepEqual([unknown.type, unknown.status, unknown.output], ["mcp_call", "incomplete", null]);
    assert.equal(unknown.error.type, "mcp_tool_execution_error");
  },
  async "file search"() {
    const given = { input: searching, tools: [search], include: ["file_search_call.results"] };
    const call = await shown({ ...given, ends: "response.file_search_call.completed", said: "36 months" });
    assert.deepEqual([call.type, call.status], ["file_search_call", "completed"]);
    assert.deepEqual(call.queries, ["warranty of the telescope"]);
    assert.match(call.results[0].text, /36 months/);
  },
  async approval() {
    for (const approve of [true, false]) {
      const before = await notes();
      const asked = await client.responses.create({ model, input: noting, tools: [asking] });
      assert.deepEqual(asked.output.map((item) => item.type), ["mcp_list_tools", "mcp_approval_request"]);
      const answer = { type: "mcp_approval_response", approval_request_id: asked.output.at(-1).id, approve };
      const after = { model, input: [answer], previous_response_id: asked.id, tools: [asking] };
      const stream = client.responses.stream(after);
      const ended = await stream.finalResponse();
      assert.deepEqual(ended.output.map((item) => item.type), approve ? ["mcp_call", "message"] : ["message"]);
      says(ended.output_text, "noted");
      assert.equal(await notes(), before + (approve ? 1 : 0));
    }
  },
  // The stream breaks at the request, and goes on after the decision.
  async "approval in place"() {
    const metadata = { approval_wait_s: "3600" };
    const asked = { model, input: noting, tools: [asking], background: true, stream: true, metadata };
    let id, request;
    const numbers = [];
    for await (const event of await client.responses.create(asked)) {
      numbers.push(event.sequence_number);
      if (event.type === "response.created") id = event.response.id;
      if (event.type === "response.output_item.done" && event.item.type === "mcp_approval_request") {
        request = event.item.id;
        break;
      }
    }
    const body = { approval_request_id: request, approve: false, reason: "not today" };
    const shown = await client.post(`/responses/${id}/approvals`, { body });
    for await (const event of await client.responses.retrieve(id, { stream: true, starting_after: numbers.at(-1) }))
      numbers.push(event.sequence_number);
    assert.deepEqual(numbers, [...numbers.keys()]);
    const final = await client.responses.retrieve(id);
    const types = ["mcp_list_tools", "mcp_approval_request", "mcp_approval_response", "message"];
    assert.deepEqual(final.output.map((item) => item.type), types);
    assert.deepEqual(final.output[2], shown);
  },
  // The stream breaks in the middle of the calls, and goes on after the last event.
  async "streamed server tools"() {
    const asked = { model, input: shopping, tools: [shop], background: true, stream: true };
    let id;
    const numbers = [];
    for await (const event of await client.responses.create(asked)) {
      numbers.push(event.sequence_number);
      if (event.type === "response.created") id = event.response.id;
      if (event.type === "response.mcp_call_arguments.done") break;
    }
    for await (const event of await client.responses.retrieve(id, { stream: true, starting_after: numbers.at(-1) }))
      numbers.push(event.sequence_number);
    assert.deepEqual(numbers, [...numbers.keys()]);
    const final = await client.responses.retrieve(id);
    assert.deepEqual(final.output.map((item) => item.type), called);
  },
};

const messages = (content) => [{ role: "user", content }];
const chat = {
  async text() {
    const chat = await client.chat.completions.create({ model, messages: messages("COUNT 7"), temperature: 0 });
    says(chat.choices[0].message.content, counted(7));
  },
  async stream() {
    const runner = client.chat.completions.stream({
      model,
      messages: messages("COUNT 30"),
      temperature: 0,
      stream_options: { include_usage: true },
    });
    let text = "";
    for await (const chunk of runner) text += chunk.choices[0]?.delta.content ?? "";
    says(text, counted(30));
    assert.ok((await runner.totalUsage()).completion_tokens > 0);
  },
  async limit() {
    const given = { messages: messages("COUNT 30"), max_completion_tokens: 16 };
    const chat = await client.chat.completions.create({ model, ...given });
    says(chat.choices[0].message.content, counted(16));
    if (exact) assert.equal(chat.choices[0].finish_reason, "length");
  },
  async tools() {
    const called = [];
    const execute = ({ city }) => (called.push(city), "sunny");
    const tool = { ...chatWeather, function: { ...chatWeather.function, function: execute, parse: JSON.parse } };
    const runner = client.chat.completions.runTools({ model, messages: messages("CALL weather"), tools: [tool] });
    says(await runner.finalContent(), "weather said: sunny");
    assert.deepEqual(called, ["Rome"]);
  },
  async "streamed tools"() {
    const runner = client.chat.completions.stream({ model, messages: messages("CALL weather"), tools: [chatWeather] });
    const { tool_calls } = await runner.finalMessage();
    assert.deepEqual(JSON.parse(tool_calls[0].function.arguments), { city: "Rome" });
  },
  async "forced tool"() {
    const choice = { tools: [chatWeather], tool_choice: "required" };
    const chat = await client.chat.completions.create({ model, messages: messages("Rome?"), ...choice });
    holds(JSON.parse(chat.choices[0].message.tool_calls[0].function.arguments), { city: "Rome" });
  },
  async "structured output"() {
    const chat = await client.chat.completions.parse({
      model,
      messages: messages("Plan a trip."),
      response_format: zodResponseFormat(Trip, "trip"),
    });
    holds(chat.choices[0].message.parsed, { city: "Rome", days: 1 });
  },
  async conversation() {
    const before = [...messages("ECHO green"), { role: "assistant", content: "green" }];
    const chat = await client.chat.completions.create({ model, messages: [...before, ...messages("RECALL")] });
    says(chat.choices[0].message.content, "ECHO green");
  },
};

const line = (number) => ({
  custom_id: `line-${number}`,
  method: "POST",
  url: "/v1/responses",
  body: { model, input: `COUNT ${number}`, temperature: 0, max_output_tokens: 64 },
});
const upload = async (lines) =>
  client.files.create({
    file: await toFile(Buffer.from(lines.map((each) => JSON.stringify(each)).join("\n")), "in.jsonl"),
    purpose: "batch",
  });
const batchOf = async (lines) =>
  client.batches.create({
    input_file_id: (await upload(lines)).id,
    endpoint: "/v1/responses",
    completion_window: "24h",
    metadata: { of: "a kit" },
  });
async function ended(id) {
  for (;;) {
    const found = await client.batches.retrieve(id);
    if (["completed", "failed", "expired", "cancelled"].includes(found.status)) return found;
    await pause(500);
  }
}
const every = async (list) => {
  const found = [];
  for await (const each of list) found.push(each.id);
  return found;
};
const batches = {
  async files() {
    const made = await client.files.create({ file: await toFile(Buffer.from("hello"), "note.txt"), purpose: "user_data" });
    assert.equal((await client.files.retrieve(made.id)).filename, "note.txt");
    assert.equal(await (await client.files.content(made.id)).text(), "hello");
    await upload([line(1)]);
    const listed = await every(client.files.list({ limit: 1 }));
    assert.ok(listed.length > 1 && listed.includes(made.id));
    assert.ok((await client.files.delete(made.id)).deleted);
    await assert.rejects(client.files.retrieve(made.id), NotFoundError);
  },
  async batch() {
    const lines = [1, 2, 3].map(line);
    const made = await batchOf(lines);
    const done = await ended(made.id);
    assert.equal(done.status, "completed");
    assert.deepEqual(done.metadata, { of: "a kit" });
    assert.deepEqual(done.request_counts, { total: 3, completed: 3, failed: 0 });
    const rows = (await (await client.files.content(done.output_file_id)).text()).trim().split("\n").map(JSON.parse);
    assert.deepEqual(rows.map((row) => row.custom_id).sort(), lines.map((each) => each.custom_id));
    for (const row of rows) {
      const [message] = row.response.body.output;
      says(message.content[0].text, counted(Number(row.custom_id.split("-")[1])));
      assert.equal((await client.responses.retrieve(row.response.body.id)).status, "completed");
    }
    await batchOf([line(1)]);
    const listed = await every(client.batches.list({ limit: 1 }));
    assert.ok(listed.length > 1 && listed.includes(made.id));
  },
  async "wrong lines"() {
    const done = await ended((await batchOf([line(1), line(1), { ...line(2), method: "GET" }])).id);
    assert.equal(done.status, "failed");
    assert.deepEqual(done.errors.data.map((each) => [each.line, each.param]), [[2, "custom_id"], [3, "method"]]);
  },
  // A batch that has ended before it is cancelled stays as it is.
  async cancel() {
    const made = await batchOf(Array.from({ length: 500 }, (_, index) => line(index + 1)));
    const cancelled = await client.batches.cancel(made.id);
    assert.ok(["cancelling", "cancelled", "completed"].includes(cancelled.status));
    const done = await ended(made.id);
    assert.equal(done.status, cancelled.status === "completed" ? "completed" : "cancelled");
    assert.equal((await client.batches.cancel(made.id)).status, done.status);
  },
  async webhooks() {
    const types = [];
    for (const { body, headers } of JSON.parse(process.env.WEBHOOKS)) {
      const event = await client.webhooks.unwrap(body, headers, process.env.WEBHOOK_SECRET);
      assert.match(event.data.id, /^batch_/);
      types.push(event.type);
    }
    assert.deepEqual(types.sort(), ["cancelled", "completed", "expired", "failed"].map((each) => `batch.${each}`));
  },
};

await tell({ responses, chat, batches });
