// Shows /openapi.json of the edge that served this page. Tokens stay in the page and are gone when it is closed.

// A key of its own for each try where none was typed: with the example's, the second order would be a repetition of the first.
const EXAMPLE_KEY = "{{example key}}";

function withFreshKey(request) {
  for (const name of Object.keys(request.headers || {})) {
    if (name.toLowerCase() === "idempotency-key" && request.headers[name] === EXAMPLE_KEY) {
      const bytes = crypto.getRandomValues(new Uint8Array(16));
      request.headers[name] = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    }
  }
  return request;
}

window.addEventListener("load", () => {
  SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#explorer",
    deepLinking: true,
    displayRequestDuration: true,
    docExpansion: "none",
    defaultModelsExpandDepth: 0,
    filter: true,
    requestInterceptor: withFreshKey,
    requestSnippetsEnabled: true,
    validatorUrl: null,
  });
});
