// Which view does the address name, and who looks at it?

import { html, render, useEffect, useState } from "./htm-preact.js";
import { onSignOut, signIn, signInFromAddress, signedIn, signOut } from "./api.js";
import { returnFromSignIn } from "./entra.js";
import { ErrorNotice } from "./parts.js";
import { SignIn } from "./sign_in.js";

const VIEWS = {
  turns: { title: "Turns", load: () => import("./turns.js") },
  turn: { title: "Turn", load: () => import("./turn.js"), hidden: true },
  crash: { title: "Crash", load: () => import("./turn.js"), hidden: true },
  fleet: { title: "Fleet", load: () => import("./fleet.js") },
  investment: { title: "Investment", load: () => import("./investment.js") },
  starts: { title: "Starts", load: () => import("./starts.js") },
  money: { title: "Money", load: () => import("./money.js") },
  chat: { title: "Try it", load: () => import("./chat.js") },
};

/** Return the view of an address such as `#/turn/resp_1`, and what follows its name. */
function placeOf(hash) {
  const [name, ...rest] = hash.replace(/^#\/?/, "").split("/");
  return name in VIEWS ? { name, rest: rest.map(decodeURIComponent) } : { name: "turns", rest: [] };
}

function usePlace() {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const changed = () => setHash(location.hash);
    addEventListener("hashchange", changed);
    changed(); // the address may have changed before anybody listened
    return () => removeEventListener("hashchange", changed);
  }, []);
  return placeOf(hash);
}

function useSignedIn() {
  const [known, setKnown] = useState(signedIn());
  const [reason, setReason] = useState("");
  const left = (why) => {
    setReason(why);
    setKnown(false);
  };
  useEffect(() => onSignOut(left), []);
  return [known, (token) => setKnown(signIn(token)), reason && { message: reason }];
}

function View({ place }) {
  const [loaded, setLoaded] = useState({});
  const [error, setError] = useState(null);
  useEffect(() => {
    document.title = `${VIEWS[place.name].title} – Ganglion`;
    VIEWS[place.name].load().then(
      (module) => setLoaded({ name: place.name, view: module.default }),
      () => setError(new Error("A newer version of the console is deployed. Load this page again.")),
    );
  }, [place.name]);
  if (error) return html`<${ErrorNotice} error=${error} />`;
  return loaded.name === place.name ? html`<${loaded.view} key=${location.hash} rest=${place.rest} view=${place.name} />` : null;
}

function Navigation({ current }) {
  const shown = Object.entries(VIEWS).filter(([, view]) => !view.hidden);
  const marked = ["turn", "crash"].includes(current) ? "turns" : current;
  return html`<nav aria-label="Views">
    ${shown.map(
      ([name, view]) => html`<a href=${`#/${name}`} aria-current=${name === marked ? "page" : undefined}>${view.title}</a>`,
    )}
  </nav>`;
}

/** Cells that lead to one: the mark of the product. */
function Mark() {
  return html`<svg class="mark" viewBox="0 0 24 24" aria-hidden="true">
    <path d="M12 12 5 5M12 12 19 6M12 12 6 19M12 12 18.5 18.5" /><circle cx="12" cy="12" r="4.2" />
    <circle cx="4.5" cy="4.5" r="2.2" /><circle cx="19.5" cy="5.5" r="2.2" /><circle cx="5.5" cy="19.5" r="2.2" /><circle cx="19" cy="19" r="2.2" />
  </svg>`;
}

function App({ error }) {
  const place = usePlace();
  const [known, setToken, refused] = useSignedIn();
  return html`
    <header>
      <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
      <a class="brand" href="#/turns"><${Mark} />Ganglion</a>
      ${known && html`<${Navigation} current=${place.name} /><button class="quiet" onClick=${() => signOut()}>Sign out</button>`}
    </header>
    <main id="main" tabindex="-1">${known ? html`<${View} place=${place} />` : html`<${SignIn} onToken=${setToken} error=${refused || error} />`}</main>
  `;
}

function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

/** Take over what the address brings: a token, or a code from the sign-in page. Returns the error, if there is one. */
async function arrive() {
  signInFromAddress();
  try {
    const token = await returnFromSignIn();
    if (token) signIn(token);
    return null;
  } catch (error) {
    return error;
  }
}

const error = await arrive();
const app = document.getElementById("app");
app.replaceChildren();
render(html`<${App} error=${error} />`, app);
