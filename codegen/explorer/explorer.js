// Shows /openapi.json of the edge that served this page. Tokens stay in the page and are gone when it is closed.
window.addEventListener("load", () => {
  SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#explorer",
    deepLinking: true,
    displayRequestDuration: true,
    docExpansion: "none",
    defaultModelsExpandDepth: 0,
    filter: true,
    requestSnippetsEnabled: true,
    validatorUrl: null,
  });
});
