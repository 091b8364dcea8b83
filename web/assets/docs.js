// Renders /api/v1/openapi.json. No dependency: what it shows is text nodes only, so nothing in the
// description can become markup.
"use strict";

const METHODS = ["get", "put", "post", "delete"];

function element(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  for (const child of children.flat()) if (child !== null && child !== undefined) node.append(child);
  return node;
}

const nameOf = (ref) => ref.split("/").pop();

// A schema in one line; references are links.
function brief(schema) {
  if (!schema || Object.keys(schema).length === 0) return "any";
  if (schema.$ref) return element("a", { href: "#schema-" + nameOf(schema.$ref) }, nameOf(schema.$ref));
  const variants = schema.oneOf || schema.anyOf || schema.allOf;
  if (variants) return element("span", {}, variants.flatMap((v, i) => (i ? [" | ", brief(v)] : [brief(v)])));
  if (schema.type === "array") return element("span", {}, "[", brief(schema.items), "]");
  if (schema.enum) return schema.enum.map((v) => JSON.stringify(v)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const type = Array.isArray(schema.type) ? schema.type.join(" | ") : schema.type || "any";
  if (schema.properties) return element("code", {}, "{ " + Object.keys(schema.properties).join(", ") + " }");
  if (schema.additionalProperties) return element("span", {}, "{ string: ", brief(schema.additionalProperties), " }");
  return schema.format ? type + " (" + schema.format + ")" : type;
}

function table(rows, ...titles) {
  const head = element("tr", {}, titles.map((title) => element("th", {}, title)));
  return element("table", {}, element("thead", {}, head),
    element("tbody", {}, rows.map((row) => element("tr", {}, row.map((cell) => element("td", {}, cell))))));
}

function properties(schema) {
  const required = new Set(schema.required || []);
  const rows = Object.entries(schema.properties).map(([name, property]) => [
    element("code", {}, name + (required.has(name) ? "" : "?")), brief(property), property.description || ""]);
  return table(rows, "field", "type", "");
}

function full(schema) {
  const parts = [];
  if (schema.description) parts.push(element("p", {}, schema.description));
  const variants = schema.oneOf || schema.anyOf || schema.allOf;
  if (schema.properties) parts.push(properties(schema));
  else if (variants) {
    for (const variant of variants) parts.push(variant.properties ? element("div", {}, full(variant)) : element("p", {}, "· ", brief(variant)));
  } else parts.push(element("p", {}, brief(schema)));
  return parts;
}

function contents(content) {
  return Object.entries(content || {}).map(([type, media]) =>
    element("div", {}, element("code", {}, type), " ", brief(media.schema)));
}

function operation(method, path, about) {
  const id = method + path.replace(/[^a-zA-Z0-9]+/g, "-");
  const section = element("section", { id, "data-text": (method + path + (about.summary || "")).toLowerCase() },
    element("h3", {}, element("span", { class: "method" }, method.toUpperCase()), element("code", {}, path),
      element("span", { class: "access" }, about["x-nightjar-access"] || "nobody")),
    about.summary ? element("p", {}, about.summary) : null,
    about.description ? element("p", {}, about.description) : null);
  if (about.parameters && about.parameters.length) {
    section.append(table(about.parameters.map((p) => [element("code", {}, p.name + (p.required ? "" : "?")), p.in, brief(p.schema),
      p.description || ""]), "parameter", "in", "type", ""));
  }
  if (about.requestBody) section.append(element("p", {}, "Body: ", about.requestBody.description || ""), ...contents(about.requestBody.content));
  section.append(table(Object.entries(about.responses || {}).map(([status, response]) => [
    element("code", {}, status), response.description || "", contents(response.content)]), "status", "", "body"));
  const link = element("a", { href: "#" + id, "data-text": section.dataset.text },
    element("span", { class: "method" }, method.toUpperCase()), path.replace("/api/v1/workspaces/{ws}", "…"));
  return [section, link];
}

function render(description) {
  const content = document.getElementById("content");
  const index = document.getElementById("index");
  content.replaceChildren(element("h1", {}, description.info.title + " " + description.info.version),
    element("p", {}, description.info.description || ""));
  const byTag = new Map((description.tags || []).map((tag) => [tag.name, { about: tag.description, entries: [] }]));
  for (const [path, item] of Object.entries(description.paths)) {
    for (const method of METHODS) {
      if (!item[method]) continue;
      const tag = (item[method].tags || ["other"])[0];
      if (!byTag.has(tag)) byTag.set(tag, { entries: [] });
      byTag.get(tag).entries.push(operation(method, path, item[method]));
    }
  }
  for (const [tag, { about, entries }] of byTag) {
    content.append(element("h2", {}, about || tag));
    index.append(element("h2", {}, tag));
    for (const [section, link] of entries) { content.append(section); index.append(link); }
  }
  content.append(element("h2", {}, "Schemas"));
  for (const [name, schema] of Object.entries(description.components.schemas).sort(([a], [b]) => a.localeCompare(b))) {
    content.append(element("section", { id: "schema-" + name, "data-text": name.toLowerCase() }, element("h3", {}, element("code", {}, name)), full(schema)));
  }
  document.getElementById("search").addEventListener("input", (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    for (const node of document.querySelectorAll("[data-text]")) node.hidden = !node.dataset.text.includes(wanted);
  });
  if (location.hash) { const target = document.getElementById(decodeURIComponent(location.hash.slice(1))); if (target) target.scrollIntoView(); }
}

// From the origin: a page opened as http://name:password@host cannot fetch relative to itself.
fetch(location.origin + "/api/v1/openapi.json", { credentials: "same-origin" })
  .then((response) => (response.ok ? response.json() : Promise.reject(new Error("HTTP " + response.status))))
  .then(render)
  .catch((error) => { document.getElementById("state").textContent = "The description could not be loaded: " + error.message; });
