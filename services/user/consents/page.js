"use strict";
const at = (id) => document.getElementById(id);
const request = JSON.parse(document.querySelector("main").dataset.request);
let token = "";

async function post(path, body, keepalive = false) {
  const headers = { "content-type": "application/json" };
  if (token) headers.authorization = "Bearer " + token;
  const reply = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), credentials: "omit", keepalive });
  const content = reply.status === 204 ? {} : await reply.json();
  return { ok: reply.ok, content, reason: (content.details || [{}])[0].reason };
}

function say(text) { at("message").textContent = text; }

function explain(reason) {
  say({
    SECOND_FACTOR_REQUIRED: "Enter the code of your authenticator app, or one of your recovery codes.",
    SECOND_FACTOR_INVALID: "The code is not right.",
    CREDENTIALS_INVALID: "Address or password are not right.",
    PASSKEY_INVALID: "The passkey does not belong to an account here.",
    TOO_MANY_ATTEMPTS: "Too many attempts. Wait a moment.",
  }[reason] || "That did not work.");
}

// The session is for this decision only.
async function signOut(keepalive) {
  if (!token) return;
  const ended = post("/v1/auth:signOut", {}, keepalive).catch(() => {});
  token = "";
  await ended;
}

async function signedIn(reply) {
  if (!reply.ok) return explain(reply.reason);
  token = reply.content.accessToken;
  return decide("CONSENT_DECISION_UNSPECIFIED");
}

async function decide(decision) {
  const reply = await post("/oauth2/authorize", { authorizationRequest: request, decision });
  if (!reply.ok) return say("That did not work. Go back to the app and try again.");
  if (reply.content.consentRequired) {
    at("sign-in").hidden = true;
    at("decision").hidden = false;
    return say("");
  }
  await signOut(false);
  location.replace(reply.content.redirectUri);
}

async function withPassword(fields) {
  const body = { email: fields.get("email"), password: fields.get("password") };
  const code = (fields.get("code") || "").replaceAll(/\s/g, "");
  if (/^[0-9]{6}$/.test(code)) body.totpCode = code;
  else if (code) body.recoveryCode = code;
  const reply = await post("/v1/auth:signIn", body);
  if (reply.reason === "SECOND_FACTOR_REQUIRED") at("second").hidden = false;
  return signedIn(reply);
}

async function withPasskey() {
  const begun = await post("/v1/auth:beginPasskeySignIn", {});
  if (!begun.ok) return explain(begun.reason);
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(begun.content.publicKey);
  const credential = await navigator.credentials.get({ publicKey });
  return signedIn(await post("/v1/auth:finishPasskeySignIn", { credential: credential.toJSON() }));
}

if (request) {
  const failed = () => say("That did not work.");
  at("sign-in").addEventListener("submit", (event) => {
    event.preventDefault();
    withPassword(new FormData(event.target)).catch(failed);
  });
  if (window.PublicKeyCredential?.parseRequestOptionsFromJSON) {
    at("passkey").hidden = false;
    at("passkey").addEventListener("click", () => withPasskey().catch(failed));
  }
  at("approve").addEventListener("click", () => decide("CONSENT_DECISION_APPROVE").catch(failed));
  at("deny").addEventListener("click", () => decide("CONSENT_DECISION_DENY").catch(failed));
  addEventListener("pagehide", () => signOut(true));
}
