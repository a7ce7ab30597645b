// How does a turn feel? A small chat in one conversation.

import { html, useEffect, useState } from "./htm-preact.js";
import { get, post, turnEvents } from "./api.js";
import { day, ErrorNotice } from "./parts.js";

const FIRST = { conversation: null, messages: [], running: null, error: null };
const NO_MODEL = { id: "auto", capabilities: [] };

export default function Chat() {
  const [state, setState] = useState(FIRST);
  const [model, setModel] = useState("auto");
  const models = useModels();
  const conversations = useConversations(state.running);
  const merge = (change) => setState((old) => ({ ...old, ...(typeof change === "function" ? change(old) : change) }));
  const seesImages = (models.find((each) => each.id === model) ?? NO_MODEL).capabilities.includes("vision");
  const send = async (event) => {
    event.preventDefault();
    const form = event.target;
    const [text, image] = [new FormData(form).get("text").trim(), await imageOf(form.elements.image)];
    if (!text || state.running) return;
    form.reset();
    ask({ text, image, model, known: state.conversation }, merge).catch((error) => merge({ error, running: null }));
  };
  const stop = () => post(`/v1/responses/${state.running}/cancel`).catch((error) => merge({ error }));
  const choose = (event) => resume(event.target.value, setState).catch((error) => merge({ error }));
  return html`<div>
    <h1>Try it</h1>
    <p class="controls">
      <label>Model <select value=${model} onChange=${(event) => setModel(event.target.value)}>
        ${models.map((each) => html`<option key=${each.id} value=${each.id}>${each.id}</option>`)}
      </select></label>
      <label>Conversation <select value=${state.conversation ?? ""} disabled=${state.running} onChange=${choose}>
        <option key="" value="">a new one</option>
        ${conversations.map((each) => html`<option key=${each.id} value=${each.id}>${day(each.created_at)}</option>`)}
      </select></label>
      <button class="quiet" disabled=${state.running} onClick=${() => setState(FIRST)}>New conversation</button>
    </p>
    ${!state.messages.length && html`<p class="lead">A question goes to the backend that the router finds cheapest and soonest; the answer links to its route, timeline and bill.</p>`}
    <div class="messages" role="log" aria-live="polite">
      ${state.messages.map((message) => html`<${Message} message=${message} />`)}
    </div>
    <${ErrorNotice} error=${state.error} />
    <form class="ask" onSubmit=${send}>
      <label class="unseen" for="text">Message</label>
      <textarea id="text" name="text" rows="2" required placeholder="Ask something" onKeyDown=${sendOnEnter}></textarea>
      ${seesImages && html`<label>Image <input type="file" name="image" accept="image/png,image/jpeg,image/webp,image/gif" /></label>`}
      ${state.running && state.running !== "starting" ? html`<button type="button" onClick=${stop}>Stop</button>` : html`<button disabled=${state.running}>Send</button>`}
    </form>
  </div>`;
}

function sendOnEnter(event) {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  event.target.form.requestSubmit();
}

function useModels() {
  const [models, setModels] = useState([NO_MODEL]);
  useEffect(() => {
    get("/v1/models").then((list) => setModels(list.data), () => {});
  }, []);
  return models;
}

/** Return the latest conversations; they are read again when a turn has ended. */
function useConversations(running) {
  const [found, setFound] = useState([]);
  useEffect(() => {
    if (!running) get("/v1/conversations", { limit: 20 }).then((list) => setFound(list.data), () => {});
  }, [running]);
  return found;
}

/** Show what a conversation holds; the next message continues it. */
async function resume(conversation, setState) {
  if (!conversation) return setState(FIRST);
  const items = await get(`/v1/conversations/${encodeURIComponent(conversation)}/items`, { limit: 100, order: "asc" });
  const messages = items.data.filter((item) => item.type === "message").map((item) => ({ role: item.role, text: textOf(item.content) }));
  setState({ ...FIRST, conversation, messages });
}

function textOf(content) {
  return content.map((part) => part.text ?? part.refusal ?? `[${part.type.replaceAll("_", " ")}]`).join("\n");
}

/** Return the chosen image as a data address; null where none was chosen. */
async function imageOf(input) {
  const file = input?.files?.[0];
  if (!file) return null;
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(file);
  });
}

function inputOf(text, image) {
  if (!image) return text;
  return [{ role: "user", content: [{ type: "input_text", text }, { type: "input_image", image_url: image, detail: "auto" }] }];
}

async function ask({ text, image, model, known }, merge) {
  const asked = { role: "user", text: image ? `${text}\n[an image]` : text };
  merge((old) => ({ error: null, running: "starting", messages: [...old.messages, asked, { role: "assistant", text: "", status: "waiting" }] }));
  const conversation = known ?? (await post("/v1/conversations", {})).id;
  merge({ conversation });
  const change = (part) => merge((old) => ({ messages: [...old.messages.slice(0, -1), { ...old.messages.at(-1), ...part(old.messages.at(-1)) }] }));
  for await (const event of turnEvents({ body: { model, input: inputOf(text, image), conversation, stream: true } })) {
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
