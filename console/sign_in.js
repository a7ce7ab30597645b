// How does a person sign in?

import { html } from "./htm-preact.js";

export function SignIn({ onToken }) {
  const paste = (event) => {
    event.preventDefault();
    onToken(new FormData(event.target).get("token"));
  };
  return html`<section class="narrow">
    <h1>Sign in</h1>
    <p>
      Every figure here comes from the API with your own access token. The page keeps the token in memory only: sign in
      again after you reload it.
    </p>
    <form onSubmit=${paste}>
      <label for="token">Access token</label>
      <textarea id="token" name="token" rows="4" required autocomplete="off" spellcheck="false"></textarea>
      <button>Sign in</button>
    </form>
    <p class="hint">
      On a laptop, <code>make run</code> prints an address that signs in, and <code>make token</code> prints a token. For an
      app in Azure, use <code>az account get-access-token --scope api://AUDIENCE/.default</code>.
    </p>
  </section>`;
}
