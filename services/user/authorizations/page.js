"use strict";
const at = (id) => document.getElementById(id);
const request = JSON.parse(document.querySelector("main").dataset.request);
let token = "";

async function post(path, body) {
  const headers = { "content-type": "application/json" };
  if (token) headers.authorization = "Bearer " + token;
  const reply = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), credentials: "omit" });
  const content = reply.status === 204 ? {} : await reply.json();
  return { ok: reply.ok, content, reason: (content.details || [{}])[0].reason };
}

function say(text) { at("message").textContent = text; }

async function decide(decision) {
  const reply = await post("/oauth2/authorize", { authorizationRequest: request, decision });
  if (!reply.ok) return say("That did not work. Go back to the app and try again.");
  if (reply.content.consentRequired) {
    at("sign-in").hidden = true;
    at("decision").hidden = false;
    return say("");
  }
  // The session was for this decision only.
  await post("/v1/auth:signOut", {}).catch(() => {});
  token = "";
  location.replace(reply.content.redirectUri);
}

if (request) {
  at("sign-in").addEventListener("submit", async (event) => {
    event.preventDefault();
    const fields = new FormData(event.target);
    const body = { email: fields.get("email"), password: fields.get("password") };
    if (fields.get("code")) body.totpCode = fields.get("code");
    const reply = await post("/v1/auth:signIn", body);
    if (reply.ok) {
      token = reply.content.accessToken;
      return decide("CONSENT_DECISION_UNSPECIFIED");
    }
    if (reply.reason === "SECOND_FACTOR_REQUIRED") at("second").hidden = false;
    say({
      SECOND_FACTOR_REQUIRED: "Enter the code of your authenticator app.",
      SECOND_FACTOR_INVALID: "The code is not right.",
      CREDENTIALS_INVALID: "Address or password are not right.",
      TOO_MANY_ATTEMPTS: "Too many attempts. Wait a moment.",
    }[reply.reason] || "That did not work.");
  });
  at("approve").addEventListener("click", () => decide("CONSENT_DECISION_APPROVE"));
  at("deny").addEventListener("click", () => decide("CONSENT_DECISION_DENY"));
}
