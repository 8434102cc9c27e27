/**
 * Import of a `.env` or JSON file. The page reads only the names, to show what would change. The
 * service reads the file, and refuses lines whose meaning is not the same everywhere.
 *
 * @typedef {import("./main.js").Place} Place
 * @typedef {import("./api.js").Imported} Imported
 */
import { newKey, send } from "./api.js";
import { check, count, el, field, problem, secretField, table, working } from "./ui.js";
import { list, mayWrite, writeHint } from "./secrets.js";

/**
 * @param {HTMLElement} target
 * @param {Place} place
 */
export function importSecrets(target, place) {
  if (!mayWrite(place)) return;
  const content = secretField("File content", "Lines of the form NAME=value, or a JSON object of names and values. At most 32 secrets. Paste the text, drop a file here, or choose one.");
  content.control.rows = 8;
  content.box.classList.add("drop");
  const file = el("input", { type: "file", accept: ".env,.json,.txt,text/plain,application/json" });
  const upsert = check("Replace secrets that exist", false);
  const result = el("div");
  const action = el("button", { type: "submit", class: "primary", disabled: true }, "Import secrets");
  const form = el("form", { autocomplete: "off" }, writeHint(place), field("Choose a file", file), content.box, upsert.label, result, el("p", { class: "buttons" }, action));
  let key = newKey();

  const review = async () => {
    const text = content.control.value;
    key = newKey();
    action.disabled = true;
    result.replaceChildren();
    if (text.trim() === "") return;
    let names;
    try {
      names = namesOf(text);
    } catch {
      result.replaceChildren(el("p", { class: "error", role: "alert" }, "The file starts like JSON, but it is not a valid JSON object."));
      return;
    }
    try {
      const known = new Map((await list(place.workspace)).map((secret) => [secret.name.toLowerCase(), secret.name]));
      if (content.control.value !== text) return;
      const rows = names.map((name) => [name, outcome(name, known.get(name.toLowerCase()), upsert.box.checked)]);
      action.disabled = names.length === 0;
      result.replaceChildren(names.length === 0
        ? el("p", { class: "error", role: "alert" }, "No names were found.")
        : table(`${count(names.length, "secret")} in the file. All are imported, or none.`, ["Name", "Effect"], rows));
    } catch (error) {
      result.replaceChildren(problem(error, review));
    }
  };

  const take = async (/** @type {File | undefined} */ given) => {
    if (!given) return;
    content.control.value = await given.text();
    file.value = ""; // the page keeps no reference to the file
    await review();
  };
  file.addEventListener("change", () => void take(file.files?.[0]));
  content.control.addEventListener("input", () => void review());
  upsert.box.addEventListener("change", () => void review());
  for (const over of ["dragover", "dragleave", "drop"]) {
    content.box.addEventListener(over, (event) => {
      event.preventDefault();
      content.box.classList.toggle("over", over === "dragover");
      if (over === "drop") void take(/** @type {DragEvent} */ (event).dataTransfer?.files[0]);
    });
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (action.disabled) return;
    void working(action, async () => {
      const text = content.control.value;
      const query = { workspaceId: place.workspace, mode: upsert.box.checked ? "upsert" : "create" };
      const headers = { "Idempotency-Key": key };
      // As it is, so that the service sees what a parser would hide, such as a name that occurs twice.
      const raw = { type: isJson(text) ? "application/json" : "text/plain; charset=utf-8", text };
      try {
        /** @type {{data: {secrets: Imported[]}}} */
        const { data } = await send("POST", "/pipeline-secrets/import", { query, headers, raw });
        content.control.value = "";
        result.replaceChildren(
          el("p", { role: "status" }, `Imported ${count(data.secrets.length, "secret")}. `, el("a", { href: place.to("secrets") }, "Show the secrets")),
          table("Imported", ["Name", "Outcome"], data.secrets.map((one) => [one.name, one.outcome])));
      } catch (error) {
        result.querySelector(".problem")?.remove();
        result.prepend(problem(error));
      }
    }).then(() => { action.disabled = content.control.value === ""; });
  });
  target.replaceChildren(form);
}

/**
 * @param {string} name
 * @param {string | undefined} known The existing name that is the same except for case.
 * @param {boolean} replaces
 */
function outcome(name, known, replaces) {
  if (known === undefined) return el("span", { class: "badge good" }, "created");
  if (known === name && replaces) return el("span", { class: "badge" }, "replaced");
  return el("span", { class: "badge bad" }, known === name ? "exists: the import is refused" : `${known} exists: the import is refused`);
}

/** @param {string} text */
function isJson(text) {
  return text.trimStart().startsWith("{");
}

/**
 * The names in a file, without a check of its values.
 *
 * @param {string} text
 * @returns {string[]}
 */
export function namesOf(text) {
  if (isJson(text)) return Object.keys(JSON.parse(text));
  const names = [];
  let quote = "";
  for (const line of text.split("\n")) {
    if (quote !== "") {
      if (closes(line, quote)) quote = "";
      continue;
    }
    const [, name, value] = /^\s*(?:export\s+)?([^\s#=]+)\s*=\s*(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) continue;
    names.push(name);
    if (/^["']/.test(value) && !closes(value.slice(1), value.charAt(0))) quote = value.charAt(0);
  }
  return names;
}

/**
 * @param {string} text
 * @param {string} quote
 */
function closes(text, quote) {
  return quote === "'" ? text.includes("'") : /(?:^|[^\\])(?:\\\\)*"/.test(text);
}
