// Does the OpenAI Agents SDK work, with the Responses API and with Chat Completions?
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import {
  Agent, fileSearchTool, hostedMcpTool, OpenAIConversationsSession, run, RunState, setOpenAIAPI, setTracingDisabled, tool,
} from "@openai/agents";
import { z } from "zod";
import { counted, holds, lost, model, notes, noting, says, searching, shopping, tell } from "./telling.mjs";

setTracingDisabled(true);
const city = z.enum(["Rome", "Paris"]);
const weather = tool({
  name: "weather",
  description: "Tells the weather.",
  parameters: z.object({ city }),
  execute: async ({ city }) => `sunny in ${city}`,
});
const modelSettings = { temperature: 0 };
const agent = (more = {}) => new Agent({ name: "guide", instructions: "Be brief.", model, modelSettings, ...more });

const asking = () => {
  const server = { serverLabel: "shop", serverUrl: process.env.SHOP_URL };
  return agent({ tools: [hostedMcpTool({ ...server, requireApproval: { always: { toolNames: ["send_note"] } } })] });
};

// Lets another process decide about what the state asks for; returns the answer.
async function decided(word, state) {
  const other = promisify(execFile)(process.execPath, [fileURLToPath(import.meta.url), word]);
  other.child.stdin.end(state);
  return (await other).stdout;
}

// Decides about what the state on stdin asks for, and prints the answer.
async function resume(word) {
  setOpenAIAPI("responses");
  const state = await RunState.fromString(asking(), await text(process.stdin));
  for (const each of state.getInterruptions())
    if (word === "approve") state.approve(each);
    else state.reject(each, { message: "not today" });
  process.stdout.write((await run(asking(), state)).finalOutput);
}

const serverTools = (using) => ({
  async "failed server tools"() {
    const able = agent({ tools: [hostedMcpTool({ serverLabel: "shop", serverUrl: process.env.SHOP_URL })] });
    const answer = await using(able, lost);
    says(answer.finalOutput, "sorry");
    const call = answer.newItems.find((item) => item.rawItem.providerData?.type === "mcp_call");
    assert.match(JSON.stringify(call), /http_error/);
    says((await using(able, [...answer.history, { role: "user", content: "RECALL" }])).finalOutput, lost);
  },
  async "file search"() {
    const able = agent({ tools: [fileSearchTool(["documents"], { includeSearchResults: true })] });
    const answer = await using(able, searching);
    says(answer.finalOutput, "36 months");
    const call = answer.newItems.find((item) => item.type === "tool_call_item").rawItem;
    assert.match(JSON.stringify(call), /file_search_call/);
    says((await using(able, [...answer.history, { role: "user", content: "RECALL" }])).finalOutput, searching);
  },
  // One process asks, another approves or denies: the state goes between them as JSON.
  async approval() {
    for (const [word, effects] of [["approve", 1], ["deny", 0]]) {
      const before = await notes();
      const asked = await using(asking(), noting);
      assert.deepEqual(asked.interruptions.map((each) => each.name), ["send_note"]);
      assert.equal(await notes(), before);
      says(await decided(word, asked.state.toString()), "noted");
      assert.equal(await notes(), before + effects);
    }
  },
  async "streamed server tools"() {
    const able = agent({ tools: [hostedMcpTool({ serverLabel: "shop", serverUrl: process.env.SHOP_URL })] });
    const running = await using(able, shopping, { stream: true });
    await running.completed;
    says(running.finalOutput, "refunded");
  },
  async "server tools"() {
    const able = agent({ tools: [hostedMcpTool({ serverLabel: "shop", serverUrl: process.env.SHOP_URL })] });
    const answer = await using(able, shopping);
    says(answer.finalOutput, "refunded");
    says((await using(able, [...answer.history, { role: "user", content: "RECALL" }])).finalOutput, shopping);
  },
});

const checksOf = (api) => {
  const using = async (...given) => (setOpenAIAPI(api), run(...given));
  return {
    async text() {
      says((await using(agent(), "COUNT 7")).finalOutput, counted(7));
    },
    async stream() {
      const running = await using(agent(), "COUNT 30", { stream: true });
      let text = "";
      for await (const piece of running.toTextStream()) text += piece;
      await running.completed;
      says(text, counted(30));
      says(running.finalOutput, counted(30));
    },
    async tools() {
      says((await using(agent({ tools: [weather] }), "CALL weather")).finalOutput, "weather said: sunny in Rome");
    },
    async "streamed tools"() {
      const running = await using(agent({ tools: [weather] }), "CALL weather", { stream: true });
      await running.completed;
      says(running.finalOutput, "weather said: sunny in Rome");
    },
    ...(api === "responses" ? serverTools(using) : {}),
    async "forced tool"() {
      const forced = { tools: [weather], modelSettings: { toolChoice: "required" }, toolUseBehavior: "stop_on_first_tool" };
      assert.match((await using(agent(forced), "Rome?")).finalOutput, /^sunny in /);
    },
    async "structured output"() {
      const outputType = z.object({ city, days: z.number().int().min(1).max(30) });
      holds((await using(agent({ outputType }), "Plan a trip.")).finalOutput, { city: "Rome", days: 1 });
    },
    async handoff() {
      const clerk = agent({ name: "clerk", handoffDescription: "Knows trips." });
      const found = await using(agent({ handoffs: [clerk] }), "CALL transfer_to_clerk");
      assert.equal(found.lastAgent.name, "clerk");
    },
    async conversation() {
      const first = await using(agent(), "ECHO green");
      says((await using(agent(), [...first.history, { role: "user", content: "RECALL" }])).finalOutput, "ECHO green");
      if (api === "responses") await remembers(using, first.lastResponseId);
    },
  };
};

async function remembers(using, previousResponseId) {
  says((await using(agent(), "RECALL", { previousResponseId })).finalOutput, "ECHO green");
  const session = new OpenAIConversationsSession();
  await using(agent({ tools: [weather] }), "CALL weather", { session });
  says((await using(agent(), "RECALL", { session })).finalOutput, "CALL weather");
}

const [word] = process.argv.slice(2);
if (word) {
  await resume(word);
  process.exit(0);
}
const { responses, chat } = { responses: checksOf("responses"), chat: checksOf("chat_completions") };
await tell({ responses, chat });
