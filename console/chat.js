// How does a turn feel? A small chat in one conversation.

import { html, useEffect, useState } from "./htm-preact.js";
import { get, post, turnEvents } from "./api.js";
import { ErrorNotice } from "./parts.js";

const FIRST = { conversation: null, messages: [], running: null, error: null };

export default function Chat() {
  const [state, setState] = useState(FIRST);
  const [model, setModel] = useState("auto");
  const models = useModels();
  const merge = (change) => setState((old) => ({ ...old, ...(typeof change === "function" ? change(old) : change) }));
  const send = (event) => {
    event.preventDefault();
    const text = new FormData(event.target).get("text").trim();
    if (text && !state.running) {
      event.target.reset();
      ask(text, model, state.conversation, merge).catch((error) => merge({ error, running: null }));
    }
  };
  const stop = () => post(`/v1/responses/${state.running}/cancel`).catch((error) => merge({ error }));
  return html`
    <h1>Try it</h1>
    <p><label>Model <select value=${model} onChange=${(event) => setModel(event.target.value)}>
      ${models.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}
    </select></label> <button class="quiet" disabled=${state.running} onClick=${() => setState(FIRST)}>New conversation</button></p>
    <div class="messages" role="log" aria-live="polite">
      ${state.messages.map((message) => html`<${Message} message=${message} />`)}
    </div>
    <${ErrorNotice} error=${state.error} />
    <form class="ask" onSubmit=${send}>
      <label class="unseen" for="text">Message</label>
      <textarea id="text" name="text" rows="2" required placeholder="Ask something" onKeyDown=${sendOnEnter}></textarea>
      ${state.running && state.running !== "starting" ? html`<button type="button" onClick=${stop}>Stop</button>` : html`<button disabled=${state.running}>Send</button>`}
    </form>
  `;
}

function sendOnEnter(event) {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  event.target.form.requestSubmit();
}

function useModels() {
  const [models, setModels] = useState(["auto"]);
  useEffect(() => {
    get("/v1/models").then((list) => setModels(list.data.map((model) => model.id)), () => {});
  }, []);
  return models;
}

async function ask(text, model, known, merge) {
  merge((old) => ({ error: null, running: "starting", messages: [...old.messages, { role: "user", text }, { role: "assistant", text: "", status: "waiting" }] }));
  const conversation = known ?? (await post("/v1/conversations", {})).id;
  merge({ conversation });
  const change = (part) => merge((old) => ({ messages: [...old.messages.slice(0, -1), { ...old.messages.at(-1), ...part(old.messages.at(-1)) }] }));
  for await (const event of turnEvents({ body: { model, input: text, conversation, stream: true } })) {
    if (event.type === "response.output_text.delta") change((last) => ({ text: last.text + event.delta, status: "answering" }));
    if (event.response) change(() => ({ id: event.response.id, status: event.response.status, problem: event.response.error?.message }));
    if (event.type === "response.created") merge({ running: event.response.id });
  }
  merge({ running: null });
}

function Message({ message }) {
  return html`<article class=${message.role}>
    <p class="answer">${message.text || (message.role === "assistant" && !message.problem ? "…" : "")}</p>
    ${message.problem && html`<p class="notice error">${message.problem}</p>`}
    ${message.id && html`<p class="hint">${message.status.replaceAll("_", " ")} · <a href=${`#/turn/${message.id}`}>route, timeline and bill</a></p>`}
  </article>`;
}
