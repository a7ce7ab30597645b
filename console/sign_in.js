// How does a person sign in?

import { html, useEffect, useState } from "./htm-preact.js";
import { leaveToSignIn, readSettings } from "./entra.js";
import { ErrorNotice } from "./parts.js";

export function SignIn({ onToken, error }) {
  const [settings, setSettings] = useState(null);
  const [problem, setProblem] = useState(error);
  useEffect(() => {
    readSettings().then(setSettings, setProblem);
  }, []);
  const leave = () => leaveToSignIn(settings).catch(setProblem);
  return html`<section class="narrow">
    <h1>Sign in</h1>
    <${ErrorNotice} error=${problem} />
    <p>
      Every figure here comes from the API with your own access token. The page keeps the token in memory only: sign in
      again after you reload it.
    </p>
    ${settings?.client_id && html`<p><button onClick=${leave}>Sign in with Microsoft Entra</button></p>`}
    ${settings?.client_id
      ? html`<details><summary>Use an access token instead</summary><${Paste} onToken=${onToken} /></details>`
      : settings && html`<${Paste} onToken=${onToken} />`}
  </section>`;
}

function Paste({ onToken }) {
  const paste = (event) => {
    event.preventDefault();
    onToken(new FormData(event.target).get("token"));
  };
  return html`<form onSubmit=${paste}>
      <label for="token">Access token</label>
      <textarea id="token" name="token" rows="4" required autocomplete="off" spellcheck="false"></textarea>
      <button>Use this token</button>
    </form>
    <p class="hint">
      On a laptop, <code>make run</code> prints an address that signs in, and <code>make token</code> prints a token. For an
      app in Azure, use <code>az account get-access-token --scope api://AUDIENCE/.default</code>.
    </p>`;
}
