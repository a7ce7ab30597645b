// Does LangChain work, with the Responses API and with Chat Completions?
import assert from "node:assert/strict";
import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { z } from "zod";
import {
  apiKey, asking, baseURL, counted, holds, lost, model as name, notes, noting, says, search, searching, shop, shopping, tell,
} from "./telling.mjs";

const city = z.enum(["Rome", "Paris"]);
const weather = tool(async ({ city }) => `sunny in ${city}`, {
  name: "weather",
  description: "Tells the weather.",
  schema: z.object({ city }),
});
const Trip = z.object({ city, days: z.number().int().min(1).max(30) });

// Asks and streams the same, gives the message back as input, and returns the item of the call.
async function shown(model, tool, prompt, said) {
  const able = model.bindTools([tool]);
  const answer = await able.invoke(prompt);
  says(answer.text, said);
  let text = "";
  for await (const chunk of await able.stream(prompt)) text += chunk.text;
  says(text, said);
  const messages = [new HumanMessage("ECHO green"), answer, new HumanMessage("RECALL")];
  says((await model.invoke(messages)).text, "ECHO green");
  return answer.response_metadata.output.find((item) => item.type.endsWith("_call"));
}

const serverTools = (model) => ({
  async "server tools"() {
    const answer = await model.bindTools([shop]).invoke(shopping);
    says(answer.text, "refunded");
    const messages = [new HumanMessage("ECHO green"), answer, new HumanMessage("RECALL")];
    says((await model.invoke(messages)).text, "ECHO green");
  },
  async "failed server tools"() {
    const call = await shown(model, shop, lost, "sorry");
    assert.deepEqual([call.type, call.status, call.error.code], ["mcp_call", "failed", 404]);
  },
  async "file search"() {
    const call = await shown(model, search, searching, "36 months");
    assert.deepEqual([call.type, call.status], ["file_search_call", "completed"]);
    assert.deepEqual(call.queries, ["warranty of the telescope"]);
  },
  // The request is in the metadata of the message; its answer is a block of the next one.
  async approval() {
    const able = model.bindTools([asking]);
    for (const approve of [true, false]) {
      const before = await notes();
      const asked = await able.invoke(noting);
      const request = asked.response_metadata.output.find((item) => item.type === "mcp_approval_request");
      const answer = { type: "mcp_approval_response", approval_request_id: request.id, approve };
      const messages = [new HumanMessage({ content: [answer] })];
      const ended = await able.invoke(messages, { previous_response_id: asked.response_metadata.id });
      says(ended.text, "noted");
      assert.equal(await notes(), before + (approve ? 1 : 0));
    }
  },
  async "streamed server tools"() {
    let text = "";
    for await (const chunk of await model.bindTools([shop]).stream(shopping)) text += chunk.text;
    says(text, "refunded");
  },
});

const checksOf = (useResponsesApi) => {
  const given = { model: name, temperature: 0, apiKey, useResponsesApi, configuration: { baseURL } };
  const model = new ChatOpenAI(given);
  return {
    async text() {
      const answer = await model.invoke("COUNT 7");
      says(answer.text, counted(7));
      assert.ok(answer.usage_metadata.output_tokens > 0);
    },
    async stream() {
      let text = "";
      for await (const chunk of await model.stream("COUNT 30")) text += chunk.text;
      says(text, counted(30));
    },
    async limit() {
      const cut = new ChatOpenAI({ ...given, maxTokens: 16 });
      says((await cut.invoke("COUNT 30")).text, counted(16));
    },
    async tools() {
      const able = model.bindTools([weather]);
      const asked = [new HumanMessage("CALL weather")];
      const call = await able.invoke(asked);
      const results = await Promise.all(call.tool_calls.map((each) => weather.invoke(each)));
      assert.ok(results[0] instanceof ToolMessage);
      says((await able.invoke([...asked, call, ...results])).text, "weather said: sunny in Rome");
    },
    async "streamed tools"() {
      let whole;
      for await (const chunk of await model.bindTools([weather]).stream("CALL weather"))
        whole = whole ? whole.concat(chunk) : chunk;
      assert.deepEqual(whole.tool_calls.map(({ name, args }) => ({ name, args })), [{ name: "weather", args: { city: "Rome" } }]);
    },
    ...(useResponsesApi ? serverTools(model) : {}),
    async "forced tool"() {
      const answer = await model.bindTools([weather], { tool_choice: "required" }).invoke("Rome?");
      holds(answer.tool_calls[0].args, { city: "Rome" });
    },
    async "structured output"() {
      holds(await model.withStructuredOutput(Trip).invoke("Plan a trip."), { city: "Rome", days: 1 });
    },
    async conversation() {
      const first = await model.invoke("ECHO green");
      const before = [new HumanMessage("ECHO green"), first];
      says((await model.invoke([...before, new HumanMessage("RECALL")])).text, "ECHO green");
      if (!useResponsesApi) return;
      const previous_response_id = first.response_metadata.id;
      says((await model.invoke("RECALL", { previous_response_id })).text, "ECHO green");
    },
  };
};

await tell({ responses: checksOf(true), chat: checksOf(false) });
