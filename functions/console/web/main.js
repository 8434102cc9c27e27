/**
 * Sign-in, the choice of a workspace, and which view is shown. The part of the address behind `#`
 * names the view. It contains IDs and never a name, a value or a token.
 *
 * @typedef {import("./api.js").User} User
 * @typedef {import("./api.js").Role} Role
 * @typedef {import("./api.js").Row} Row
 * @typedef {import("./api.js").Participant} Participant
 *
 * @typedef {object} Place Where a view is: a workspace, or the user's own secrets and runs.
 * @property {User} user
 * @property {number | null} org
 * @property {number | null} workspace
 * @property {string} title
 * @property {Role | "self"} role
 * @property {(view: string, detail?: string) => string} to The address of a view of this place.
 * @property {() => Promise<Map<number, string>>} people Names by user ID.
 */
import { finishSignIn, forgetToken, hasToken, providers, read, setToken, startSignIn, whenRefused } from "./api.js";
import { button, el, fill, problem, text, wipe, working } from "./ui.js";
import { audit } from "./audit.js";
import { environments } from "./environments.js";
import { importSecrets } from "./import.js";
import { people, tokens } from "./people.js";
import { preview } from "./preview.js";
import { runs } from "./runs.js";
import { secrets } from "./secrets.js";

const IDLE = 30 * 60_000; // ms without a key or a pointer, after which the user is signed out

/** @type {Record<Role | "self", string[]>} */
const VIEWS = {
  owner: ["secrets", "import", "preview", "runs", "environments", "people", "audit"],
  admin: ["secrets", "import", "preview", "runs", "environments", "people", "audit"],
  maintain: ["secrets", "import", "preview", "runs", "environments", "people"],
  launch: ["secrets", "preview", "runs", "environments", "people"],
  connect: ["secrets", "runs", "environments", "people"],
  view: ["secrets", "runs", "environments", "people"],
  self: ["secrets", "import", "preview", "runs", "audit"],
};

/** @type {Record<string, [string, (target: HTMLElement, place: Place, detail: string) => unknown]>} */
const RENDER = {
  secrets: ["Secrets", secrets],
  import: ["Import", importSecrets],
  preview: ["Preview", preview],
  runs: ["Runs", runs],
  environments: ["Environments", environments],
  people: ["People", people],
  audit: ["Audit", audit],
};

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const main = byId("main");
const views = byId("views");
const signInDialog = /** @type {HTMLDialogElement} */ (byId("sign-in"));
const signInForm = /** @type {HTMLFormElement} */ (byId("sign-in-form"));
const tokenField = /** @type {HTMLInputElement} */ (byId("token"));

/** @type {User | null} */
let user = null;
/** @type {Row[]} */
let rows = [];
let lastUse = Date.now();

/** Reads who the user is, and in which workspaces. */
async function loadUser() {
  const found = (await read("/user-info")).user;
  const list = (await read(`/user/${found.id}/workspaces`)).orgsAndWorkspaces;
  if (user !== null && user.id !== found.id) leave();
  user = found;
  rows = list;
  byId("user").textContent = found.userName;
  byId("account").hidden = false;
}

/** Closes and removes the dialogs of views at once: the event of a dialog that closes comes later. */
function closeDialogs() {
  for (const dialog of /** @type {NodeListOf<HTMLDialogElement>} */ (document.querySelectorAll("dialog.view"))) {
    wipe(dialog);
    dialog.close();
    dialog.remove();
  }
}

/** Removes everything that a user has seen or typed. */
function leave() {
  wipe();
  closeDialogs();
  main.replaceChildren();
  views.replaceChildren();
  views.hidden = true;
  byId("account").hidden = true;
  byId("user").textContent = "";
  user = null;
  rows = [];
}

/** @param {string} reason */
function signOut(reason) {
  forgetToken();
  leave();
  askForToken(reason);
}

/**
 * Asks for a token, over what is shown now, so that it can go on afterwards.
 *
 * @param {string} reason
 */
function askForToken(reason) {
  wipe();
  byId("sign-in-reason").textContent = reason;
  byId("sign-in-error").textContent = "";
  if (!signInDialog.open) signInDialog.showModal();
  (byId("providers").querySelector("button") ?? tokenField).focus();
}

/** Offers sign-in at each provider, besides that by token. */
function showProviders() {
  byId("providers").replaceChildren(...providers.map((provider) => {
    const name = new URL(provider.issuer).host;
    return provider.signIn === null
      ? el("p", { class: "note" }, `${name} does not answer. Reload this page in a minute, or sign in with a token.`)
      : el("p", { class: "buttons" }, button(`Sign in with ${name}`, () => startSignIn(provider), { class: "primary" }));
  }));
}

async function signIn() {
  const given = tokenField.value.trim();
  const remember = /** @type {HTMLInputElement} */ (byId("remember")).checked;
  const same = user?.id;
  setToken(given, remember);
  try {
    await loadUser();
  } catch (error) {
    forgetToken();
    byId("sign-in-error").textContent = text(error);
    return;
  } finally {
    tokenField.value = "";
  }
  lastUse = Date.now();
  signInDialog.close();
  if (user?.id !== same || main.querySelector(".problem")) show();
}

/** @returns {{view: string, detail: string, place: Place | null} | null} */
function route() {
  const parts = location.hash.slice(1).split("/").filter(Boolean);
  if (user === null || parts.length === 0) return null;
  if (parts[0] === "tokens") return { view: "tokens", detail: "", place: null };
  if (parts[0] === "me") return { view: parts[1] ?? "secrets", detail: parts[2] ?? "", place: self(user) };
  const row = rows.find((one) => String(one.orgId) === parts[1] && String(one.workspaceId) === parts[2]);
  const place = parts[0] === "w" && row ? workspace(user, row) : null;
  return { view: place ? parts[3] ?? "secrets" : "unknown", detail: parts[4] ?? "", place };
}

/**
 * @param {User} user
 * @returns {Place}
 */
function self(user) {
  return {
    user, org: null, workspace: null, title: "My secrets", role: "self",
    to: (view, detail) => `#/me/${view}${detail ? `/${detail}` : ""}`,
    people: async () => new Map([[user.id, user.userName]]),
  };
}

/**
 * @param {User} user
 * @param {Row} row
 * @returns {Place}
 */
function workspace(user, row) {
  const base = `#/w/${row.orgId}/${row.workspaceId}`;
  /** @type {Promise<Map<number, string>> | null} */
  let names = null;
  const load = async () => {
    /** @type {{participants: Participant[]}} */
    const { participants } = await read(`/orgs/${row.orgId}/workspaces/${row.workspaceId}/participants`);
    return new Map(participants.map((one) => [one.memberId, one.userName]));
  };
  return {
    user, org: row.orgId, workspace: row.workspaceId, title: `${row.orgName} / ${row.workspaceName}`, role: roleOf(row),
    to: (view, detail) => `${base}/${view}${detail ? `/${detail}` : ""}`,
    people: () => (names ??= load()),
  };
}

/**
 * @param {Row} row
 * @returns {Role}
 */
function roleOf(row) {
  const known = /** @type {Role[]} */ (["owner", "admin", "maintain", "launch", "connect"]);
  return known.find((role) => row.roles.includes(role)) ?? "view";
}

/** Shows the view that the address names. */
function show() {
  if (user === null) return;
  const found = route();
  const target = el("div");
  views.hidden = !found?.place;
  views.replaceChildren();
  if (found === null) {
    title("Workspaces", target);
    void workspaces(target);
  } else if (found.view === "tokens") {
    title("Tokens", target);
    void tokens(target, rows);
  } else if (found.place) {
    const { place, view, detail } = found;
    const offered = VIEWS[place.role];
    for (const name of offered) {
      const current = name === view ? "page" : undefined;
      views.append(el("a", { href: place.to(name), "aria-current": current }, RENDER[name]?.[0]));
    }
    const render = offered.includes(view) ? RENDER[view] : undefined;
    title(`${place.title}: ${render?.[0] ?? "Not offered"}`, target);
    if (render) void render[1](target, place, detail);
    else target.append(el("p", {}, "Your role in this workspace does not offer this view."));
  } else {
    title("Not found", target);
    target.append(el("p", {}, "This page does not exist, or you are not a participant of the workspace. ", el("a", { href: "#/" }, "Choose a workspace")));
  }
}

/**
 * @param {string} heading
 * @param {HTMLElement} target
 */
function title(heading, target) {
  document.title = `${heading} – Pipeline Secrets`;
  main.replaceChildren(el("h1", {}, heading), target);
}

/** @param {HTMLElement} target */
async function workspaces(target) {
  await fill(target, loadUser, () => {
    const found = rows.filter((row) => row.workspaceId !== null);
    const cards = found.map((row) => el("li", {}, el("a", { href: `#/w/${row.orgId}/${row.workspaceId}/secrets` },
      el("strong", {}, `${row.orgName} / ${row.workspaceName}`),
      row.workspaceFullName && el("span", { class: "quiet" }, row.workspaceFullName, " "),
      el("span", { class: "badge good" }, roleOf(row)))));
    const own = el("li", {}, el("a", { href: "#/me/secrets" }, el("strong", {}, "My secrets"),
      el("span", { class: "quiet" }, "Your user secrets. They override workspace secrets of the same name in the runs that you launch.")));
    return [
      found.length === 0 && el("p", {}, "You are not a participant of a workspace yet. An owner or admin can add you with your name, ", el("strong", {}, user?.userName), "."),
      el("ul", { class: "cards" }, ...cards, own),
    ];
  });
}

signInForm.addEventListener("submit", (event) => {
  event.preventDefault();
  const control = /** @type {HTMLButtonElement} */ (signInForm.querySelector("button[type=submit]"));
  byId("sign-in-error").textContent = "";
  if (!control.disabled) void working(control, signIn);
});
// The page has nothing to show without a token.
signInDialog.addEventListener("cancel", (event) => event.preventDefault());
signInDialog.addEventListener("close", () => { if (!hasToken()) signInDialog.showModal(); });
byId("sign-out").addEventListener("click", () => signOut("You are signed out."));
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
whenRefused((reason) => { if (user !== null) askForToken(reason); });

for (const use of ["keydown", "pointerdown"]) addEventListener(use, () => { if (!isIdle()) lastUse = Date.now(); }, true);
function isIdle() {
  const idle = hasToken() && Date.now() - lastUse > IDLE;
  if (idle) signOut("You were signed out after 30 minutes without activity.");
  return idle;
}
setInterval(isIdle, 15_000);
document.addEventListener("visibilitychange", isIdle);
// Do not show an old state when the browser goes back to this page.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

addEventListener("hashchange", () => {
  closeDialogs();
  show();
  main.focus();
});

showProviders();
let reason = "";
try {
  await finishSignIn();
} catch (error) {
  reason = text(error);
}
if (hasToken()) {
  try {
    await loadUser();
    show();
  } catch (error) {
    if (hasToken()) main.replaceChildren(problem(error, () => location.reload()));
    else askForToken(text(error));
  }
} else {
  askForToken(reason);
}
