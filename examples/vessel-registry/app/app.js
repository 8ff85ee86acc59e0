// The single-page app of the vessel registry. It signs in by OAuth 2.0's code flow with PKCE (RFC 7636, RFC 9700), keeps
// the access token in memory and nowhere else, and shows what the gateway answers.

const $ = (id) => document.getElementById(id);

// What the sign-in needs once it has come back: verifier, state and nonce. The token is never stored.
const PENDING = "pending-sign-in";

// Where the issuer leads back to: this page.
const here = location.origin + location.pathname;

let environment; // {issuer, client_id, api}
let session = null; // {accessToken, subject, expires}

// ---- signing in

async function signIn() {
  const metadata = await discover();
  const pending = { verifier: random(), state: random(), nonce: random() };
  sessionStorage.setItem(PENDING, JSON.stringify(pending));
  const address = new URL(metadata.authorization_endpoint);
  address.search = new URLSearchParams({
    response_type: "code",
    client_id: environment.client_id,
    redirect_uri: here,
    scope: "openid",
    state: pending.state,
    nonce: pending.nonce,
    code_challenge: await challenge(pending.verifier),
    code_challenge_method: "S256",
  });
  location.assign(address);
}

// comeBack finishes a sign-in, if this page was opened by one. Code and state leave the address at once.
async function comeBack() {
  const answer = new URLSearchParams(location.search);
  const pending = JSON.parse(sessionStorage.getItem(PENDING) ?? "null");
  sessionStorage.removeItem(PENDING);
  if (!answer.has("code") && !answer.has("error")) {
    return;
  }
  history.replaceState(null, "", location.pathname);
  if (!pending || answer.get("state") !== pending.state) {
    throw new Error("the sign-in was not begun here: its state is another");
  }
  if (answer.has("iss") && answer.get("iss") !== environment.issuer) {
    throw new Error("another issuer answered the sign-in");
  }
  if (answer.has("error")) {
    throw new Error(answer.get("error_description") ?? answer.get("error"));
  }
  session = await redeem(answer.get("code"), pending);
}

async function redeem(code, pending) {
  const metadata = await discover();
  const response = await fetch(metadata.token_endpoint, {
    method: "POST",
    credentials: "omit",
    body: new URLSearchParams({
      grant_type: "authorization_code",
      client_id: environment.client_id,
      redirect_uri: here,
      code,
      code_verifier: pending.verifier,
    }),
  });
  const tokens = await response.json();
  if (!response.ok) {
    throw new Error(tokens.error_description ?? tokens.error);
  }
  // The ID token came from the issuer itself, so its signature need not be checked (OpenID Connect Core, section 3.1.3.7).
  const identity = claims(tokens.id_token);
  const audiences = [identity.aud].flat();
  if (identity.iss !== environment.issuer || !audiences.includes(environment.client_id) || identity.nonce !== pending.nonce) {
    throw new Error("the ID token is not for this sign-in");
  }
  return { accessToken: tokens.access_token, subject: identity.sub, expires: Date.now() + tokens.expires_in * 1000 };
}

async function discover() {
  const response = await fetch(`${environment.issuer}/.well-known/openid-configuration`, { credentials: "omit" });
  const metadata = await response.json();
  if (metadata.issuer !== environment.issuer) {
    throw new Error("discovery speaks of another issuer");
  }
  return metadata;
}

function signOut() {
  session = null;
  showSession();
}

const random = () => encode(crypto.getRandomValues(new Uint8Array(32)));

async function challenge(verifier) {
  return encode(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
}

function encode(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

// claims are what a token says. They are shown, and nothing is decided by them: that is for the gateway and the API.
function claims(token) {
  const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(payload), (c) => c.charCodeAt(0))));
}

// ---- calling the API

// call asks the API and shows the answer. The token is sent where it is wanted and there is one; whether one is needed is
// for the gateway to say.
async function call(method, path, { withToken = false, body } = {}) {
  const headers = { accept: "application/json" };
  if (withToken && session) {
    headers.authorization = `Bearer ${session.accessToken}`;
  }
  if (body) {
    headers["content-type"] = "application/json";
  }
  const address = new URL(path, environment.api);
  showResult({ request: `${method} ${address}`, status: "…" });
  try {
    const response = await fetch(address, { method, headers, credentials: "omit", body: body && JSON.stringify(body) });
    await showAnswer(method, address, response);
  } catch {
    showResult({
      request: `${method} ${address}`,
      status: "No answer",
      reason: "The API cannot be reached, or does not let this page read its answer (CORS).",
      good: false,
    });
  }
}

async function showAnswer(method, address, response) {
  const text = await response.text();
  let body = text;
  let reason = "";
  try {
    const parsed = JSON.parse(text);
    body = JSON.stringify(parsed, null, 2);
    if ((response.headers.get("content-type") ?? "").startsWith("application/problem+json")) {
      reason = problem(parsed);
    } else if (parsed.token) {
      reason = seen(parsed.token);
    }
  } catch {
    // It is no JSON, and is shown as it is.
  }
  showResult({ request: `${method} ${address}`, status: `${response.status} ${response.statusText}`.trim(), reason, body, good: response.ok });
}

// problem says for people what a problem document says (RFC 9457). Its type leads to the reason, where the gateway tells it.
function problem({ type = "about:blank", title, detail }) {
  const reason = type.split("#")[1];
  return [title, detail && `: ${detail}`, reason && ` (${reason})`].filter(Boolean).join("");
}

// seen says for people whom the API takes the caller for, which it answers with: the claims of the token that reached it.
function seen({ sub, act }) {
  return `The API sees ${sub}${act ? `, for whom ${act.sub} acts` : ""}.`;
}

// ---- showing

function showResult({ request, status, reason = "", body = "", good }) {
  $("result-request").textContent = request;
  $("result-reason").textContent = reason;
  $("result-body").textContent = body;
  const outcome = { true: "good", false: "bad" }[good] ?? "open";
  $("result-status").dataset.outcome = outcome;
  $("result-status").textContent = status;
  $("result-status").scrollIntoView({ block: "nearest" });
}

function showSession() {
  $("who").textContent = session ? `Signed in as ${session.subject}` : "Not signed in";
  $("sign-in").hidden = Boolean(session);
  $("sign-out").hidden = !session;
  $("token").hidden = !session;
  $("token-claims").textContent = session ? JSON.stringify(claims(session.accessToken), null, 2) : "";
  if (session) {
    const ended = session;
    setTimeout(() => {
      if (session === ended) {
        signOut();
      }
    }, session.expires - Date.now());
  }
}

const failed = (what) => (error) =>
  showResult({ request: what, status: "Failed", reason: error.message, good: false });

// ---- beginning

async function begin() {
  const response = await fetch("/environment.json", { credentials: "omit" });
  environment = await response.json();
  $("sign-in").addEventListener("click", () => signIn().catch(failed("Sign in")));
  $("sign-out").addEventListener("click", signOut);
  $("search-form").addEventListener("submit", (event) => {
    event.preventDefault();
    call("GET", `/vessels/search?${new URLSearchParams({ q: $("query").value })}`);
  });
  $("search-protected").addEventListener("click", () => call("GET", "/registry/vessels", { withToken: true }));
  $("fleet").addEventListener("click", () => call("GET", "/fleet/ships", { withToken: true }));
  $("write-form").addEventListener("submit", (event) => {
    event.preventDefault();
    call("POST", "/companies/7/vessels", { withToken: true, body: { name: $("vessel").value } });
  });
  try {
    await comeBack();
  } finally {
    showSession();
  }
}

document.documentElement.dataset.ready = "false";
begin()
  .catch(failed("Sign in"))
  .finally(() => {
    document.documentElement.dataset.ready = "true";
  });
