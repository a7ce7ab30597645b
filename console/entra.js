// How does a person sign in at Microsoft Entra? Authorization code with PKCE (RFC 7636), no secret, no cookie.

const KEY = "ganglion.sign-in";

let settings = null;

/**
 * Return what the app says of its sign-in: `{client_id, authorize_url, token_url, scope, execution_usd}`; `client_id` may be
 * null. It is read once.
 */
export async function readSettings() {
  settings ??= read().catch((error) => {
    settings = null;
    throw error;
  });
  return settings;
}

async function read() {
  const answer = await fetch("/console/settings.json");
  if (!answer.ok) throw new Error("The settings of the sign-in could not be read. Load this page again.");
  return answer.json();
}

/** Leave for the sign-in page. Until the return, the tab keeps the verifier and the place to come back to. */
export async function leaveToSignIn(settings) {
  const kept = { verifier: drawn(32), state: drawn(16), place: location.hash };
  sessionStorage.setItem(KEY, JSON.stringify(kept));
  const query = new URLSearchParams({
    client_id: settings.client_id,
    response_type: "code",
    response_mode: "fragment",
    redirect_uri: returnAddress(),
    scope: settings.scope,
    state: kept.state,
    code_challenge: await challengeOf(kept.verifier),
    code_challenge_method: "S256",
    prompt: "select_account",
  });
  location.assign(`${settings.authorize_url}?${query}`);
}

/** Return the token of a person who comes back from the sign-in page; "" for an ordinary visit. */
export async function returnFromSignIn() {
  const came = new URLSearchParams(location.hash.slice(1));
  if (!came.has("state")) return "";
  const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "{}");
  sessionStorage.removeItem(KEY);
  history.replaceState(null, "", `${location.pathname}${kept.place || "#/turns"}`);
  if (came.get("state") !== kept.state) throw new Error("This sign-in was not begun in this tab. Sign in again.");
  if (!came.has("code")) throw new Error(`The sign-in failed: ${came.get("error_description") ?? came.get("error")}`);
  return redeemed(came.get("code"), kept.verifier);
}

async function redeemed(code, verifier) {
  const settings = await readSettings();
  const body = new URLSearchParams({
    client_id: settings.client_id,
    grant_type: "authorization_code",
    redirect_uri: returnAddress(),
    scope: settings.scope,
    code,
    code_verifier: verifier,
  });
  const answer = await fetch(settings.token_url, { method: "POST", body });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(`The sign-in failed: ${said.error_description ?? `status ${answer.status}`}`);
  return said.access_token;
}

function returnAddress() {
  return `${location.origin}${location.pathname}`;
}

/** Return the S256 challenge of a verifier. */
export async function challengeOf(verifier) {
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
}

function drawn(bytes) {
  return base64url(crypto.getRandomValues(new Uint8Array(bytes)));
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
