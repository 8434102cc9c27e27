/**
 * Secrets of a workspace or of the user. A value goes from its field into one request, and is
 * removed from the field when the service has it or the dialog closes.
 *
 * @typedef {import("./main.js").Place} Place
 * @typedef {import("./api.js").Secret} Secret
 * @typedef {import("./api.js").Version} Version
 */
import { ApiError, newKey, read, send } from "./api.js";
import { button, count, el, expiry, field, fill, fromLocal, openDialog, secretField, table, toLocal, when } from "./ui.js";

/** @param {Place} place */
export function mayWrite(place) {
  return ["owner", "admin", "maintain", "self"].includes(place.role);
}

/** @param {Place} place */
export function writeHint(place) {
  return place.role === "maintain"
    && el("p", { class: "hint" }, "The role maintain can change workspace secrets only if the operators of this deployment allow it.");
}

/**
 * @param {HTMLElement} target
 * @param {Place} place
 */
export function secrets(target, place) {
  const reload = () => void secrets(target, place);
  const load = async () => {
    const own = place.workspace === null ? [] : listOwn();
    const [here, mine] = await Promise.all([list(place.workspace, true), own]);
    return { here, mine: new Set(mine?.map((secret) => secret.name)), limited: mine === null };
  };
  return fill(target, load, ({ here, mine, limited }) => {
    const search = el("input", { type: "search", autocomplete: "off", spellcheck: false });
    const shown = el("p", { class: "hint", role: "status" });
    const rows = here.map((secret) => row(place, secret, mine.has(secret.name), reload));
    const found = table(count(here.length, "secret"), ["Name", "Description", "Expires", "Last used", "Updated", "By", "Actions"], rows);
    const lines = found.querySelectorAll("tbody tr");
    search.addEventListener("input", () => {
      const wanted = search.value.toLowerCase();
      let matches = 0;
      here.forEach((secret, index) => {
        const hit = `${secret.name} ${secret.description ?? ""}`.toLowerCase().includes(wanted);
        if (hit) matches += 1;
        /** @type {HTMLElement} */ (lines[index]).hidden = !hit;
      });
      shown.textContent = wanted === "" ? "" : `${matches} of ${count(here.length, "secret")}`;
    });
    const overridden = here.filter((secret) => mine.has(secret.name)).length;
    return [
      el("div", { class: "bar" },
        here.length > 0 && field("Search", search),
        mayWrite(place) && button("Add secret", () => add(place, reload), { class: "primary" })),
      shown,
      writeHint(place),
      overridden > 0 && el("p", { class: "note" }, `In the runs that you launch, your user secrets override ${count(overridden, "workspace secret")}.`),
      limited && el("p", { class: "note" }, "Your token is only for this workspace, so this page cannot show which of these secrets yours override."),
      here.length === 0 ? el("p", {}, "There are no secrets yet.") : found,
    ];
  });
}

/**
 * @param {number | null} workspace
 * @param {boolean} [authors] Whether to read who wrote each secret.
 * @returns {Promise<Secret[]>}
 */
export async function list(workspace, authors) {
  return (await read("/pipeline-secrets", { workspaceId: workspace, authors: authors ? "true" : null })).pipelineSecrets;
}

/**
 * The user secrets, or null if the token is limited to one workspace: it uses them in launches, but
 * cannot list them.
 */
export async function listOwn() {
  try {
    return await list(null);
  } catch (error) {
    if (error instanceof ApiError && error.status === 403) return null;
    throw error;
  }
}

/** @param {import("./api.js").Author} [author] */
function nameOf(author) {
  return author && (author.userName ?? `user ${author.id}`);
}

/**
 * @param {Place} place
 * @param {Secret} secret
 * @param {boolean} overridden
 * @param {() => void} reload
 */
function row(place, secret, overridden, reload) {
  /** @param {string} label @param {() => unknown} action @param {string} [kind] */
  const act = (label, action, kind) => button(label, action, { "aria-label": `${label} ${secret.name}`, class: kind });
  return [
    el("span", {}, secret.name, overridden && " ", overridden && el("span", { class: "badge" }, "overridden by yours")),
    secret.description,
    expiry(secret.expires),
    when(secret.lastUsed),
    when(secret.lastUpdated),
    nameOf(secret.author),
    el("span", { class: "actions" },
      mayWrite(place) && act("Replace", () => replace(place, secret, reload)),
      act("History", () => history(place, secret)),
      mayWrite(place) && act("Delete", () => remove(place, secret, reload), "danger")),
  ];
}

const VALUE_HINT = "At most 32,768 bytes. It cannot be read back. It stays in this field until the service has it or you close this dialog.";

/** @param {Secret} [secret] */
function notes(secret) {
  const description = el("input", { maxLength: 256, autocomplete: "off", value: secret?.description ?? "" });
  const expires = el("input", { type: "datetime-local", value: toLocal(secret?.expires) });
  return {
    description, expires,
    boxes: [
      field("Description (optional)", description, "Who issued it, and when to renew it. Not the value: everyone in the workspace can read this."),
      field("Expires (optional)", expires, "After this time, a launch that would use the secret is refused."),
    ],
  };
}

/**
 * @param {Place} place
 * @param {() => void} reload
 */
function add(place, reload) {
  const name = el("input", { required: true, minLength: 2, maxLength: 100, autocomplete: "off", autocapitalize: "off", spellcheck: false });
  const nameBox = field("Name", name, "Letters, digits and underscores, for example NCBI_API_KEY.");
  const hint = /** @type {HTMLElement} */ (nameBox.querySelector(".hint"));
  const value = secretField("Value", VALUE_HINT);
  const { description, expires, boxes } = notes();
  checkName(place, name, hint);
  // A repeated request creates one secret. Another content is another request.
  let key = newKey();
  const { dialog } = openDialog({
    title: `Add a secret to ${place.title}`, action: "Add", content: [nameBox, value.box, ...boxes],
    submit: async () => {
      /** @type {Record<string, string>} */
      const body = { name: name.value, value: value.control.value };
      if (description.value !== "") body["description"] = description.value;
      const until = fromLocal(expires.value);
      if (until) body["expires"] = until;
      await send("POST", "/pipeline-secrets", { query: { workspaceId: place.workspace }, body, headers: { "Idempotency-Key": key } });
      value.control.value = "";
      reload();
      return `Added ${name.value}.`;
    },
  });
  dialog.addEventListener("input", () => { key = newKey(); });
}

/**
 * Asks the service, while the user types, whether the name is allowed and free.
 *
 * @param {Place} place
 * @param {HTMLInputElement} name
 * @param {HTMLElement} hint
 */
function checkName(place, name, hint) {
  const rule = hint.textContent;
  let timer = 0;
  name.addEventListener("input", () => {
    clearTimeout(timer);
    name.setCustomValidity("");
    hint.className = "hint";
    hint.textContent = rule;
    const asked = name.value;
    if (asked.length < 2) return;
    timer = setTimeout(async () => {
      try {
        await send("GET", "/pipeline-secrets/validate", { query: { workspaceId: place.workspace, name: asked } });
        if (name.value === asked) hint.textContent = "This name is free.";
      } catch (error) {
        // Other problems show when the form is sent.
        if (name.value !== asked || !(error instanceof ApiError) || ![400, 409].includes(error.status)) return;
        hint.className = "hint error";
        hint.textContent = error.message;
      }
    }, 300);
  });
}

/**
 * @param {Place} place
 * @param {Secret} secret
 * @param {() => void} reload
 */
async function replace(place, secret, reload) {
  const value = secretField("New value", VALUE_HINT);
  const { description, expires, boxes } = notes(secret);
  let current = describe(place, secret);
  openDialog({
    title: `Replace ${secret.name}`, action: "Replace",
    content: [el("p", {}, "This writes a new version. Runs on AWS Batch that were launched before keep the old version until they end."), value.box, ...boxes],
    submit: async () => {
      let read;
      try {
        read = await current;
      } catch (error) {
        current = describe(place, secret);
        throw error;
      }
      /** @type {Record<string, string | null>} */
      const body = { value: value.control.value };
      if (description.value !== (secret.description ?? "")) body["description"] = description.value || null;
      if (expires.value !== toLocal(secret.expires)) body["expires"] = fromLocal(expires.value);
      try {
        await update(place, secret, body, read);
      } catch (error) {
        // The next attempt is based on the version that is current then.
        if (error instanceof ApiError && error.status === 412) {
          current = describe(place, secret);
          throw new ApiError(412, `${error.message} To see who changed it, look at its history. To replace it nevertheless, choose Replace again.`);
        }
        throw error;
      }
      value.control.value = "";
      reload();
      return `Replaced ${secret.name}.`;
    },
  });
  current.catch(() => {}); // shown when the form is sent
}

/**
 * @param {Place} place
 * @param {Secret} secret
 * @param {unknown} body
 * @param {string} version
 */
function update(place, secret, body, version) {
  return send("PUT", `/pipeline-secrets/${secret.id}`, { query: { workspaceId: place.workspace }, body, headers: { "If-Match": version } });
}

/**
 * Returns the entity tag of the current version.
 *
 * @param {Place} place
 * @param {Secret} secret
 */
async function describe(place, secret) {
  const { etag } = await send("GET", `/pipeline-secrets/${secret.id}`, { query: { workspaceId: place.workspace } });
  return etag ?? "*";
}

/**
 * @param {Place} place
 * @param {Secret} secret
 * @param {() => void} reload
 */
function remove(place, secret, reload) {
  const typed = el("input", { required: true, autocomplete: "off", autocapitalize: "off", spellcheck: false });
  const current = describe(place, secret);
  current.catch(() => {}); // shown when the form is sent
  const { action } = openDialog({
    title: `Delete ${secret.name}`, action: "Delete", danger: true,
    content: [
      el("p", {}, "Launches that name this secret are refused afterwards. Live runs keep their copies until they end. This cannot be undone."),
      field(`Type ${secret.name} to confirm`, typed),
    ],
    submit: async () => {
      if (typed.value !== secret.name) throw new ApiError(0, "The name is different.");
      await send("DELETE", `/pipeline-secrets/${secret.id}`, { query: { workspaceId: place.workspace }, headers: { "If-Match": await current } });
      reload();
      return `Deleted ${secret.name}.`;
    },
  });
  action.disabled = true;
  typed.addEventListener("input", () => { action.disabled = typed.value !== secret.name; });
}

/**
 * @param {Place} place
 * @param {Secret} secret
 */
function history(place, secret) {
  const content = el("div");
  openDialog({ title: `History of ${secret.name}`, content: [content] });
  const load = async () => /** @type {{versions: Version[]}} */ (
    await read(`/pipeline-secrets/${secret.id}/history`, { workspaceId: place.workspace, authors: "true" }));
  void fill(content, load, ({ versions }) => [
    table(count(versions.length, "version"), ["Version", "Written by", "Written", "Replaced"], versions.map((version) => [
      version.version,
      nameOf(version.author),
      when(version.dateWritten, "exact"),
      when(version.dateReplaced, "exact", "current"),
    ])),
  ]);
}
