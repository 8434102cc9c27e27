/**
 * Participants, roles and platforms of a workspace; tokens of the user.
 *
 * @typedef {import("./main.js").Place} Place
 * @typedef {import("./api.js").Participant} Participant
 * @typedef {import("./api.js").Role} Role
 * @typedef {import("./api.js").Row} Row
 * @typedef {import("./api.js").Token} Token
 */
import { read, send } from "./api.js";
import { announce, button, check, copyable, count, el, expiry, field, fill, fromLocal, openDialog, problem, select, table, when, working } from "./ui.js";

/** @type {Role[]} */
const ROLES = ["owner", "admin", "maintain", "launch", "connect", "view"];
const PLATFORMS = ["aws-batch", "slurm", "lsf", "pbs-pro", "grid-engine", "moab", "kubernetes"];

/**
 * @param {HTMLElement} target
 * @param {Place} place
 */
export function people(target, place) {
  const path = `/orgs/${place.org}/workspaces/${place.workspace}`;
  const reload = () => void people(target, place);
  const administers = place.role === "owner" || place.role === "admin";
  const load = async () => {
    const [list, described] = await Promise.all([read(`${path}/participants`), read(path)]);
    return {
      participants: /** @type {Participant[]} */ (list.participants),
      platforms: /** @type {string[]} */ (described.workspace.platforms),
    };
  };
  return fill(target, load, ({ participants, platforms }) => [
    administers && el("div", { class: "bar" }, button("Add participant", () => add(place, path, reload), { class: "primary" })),
    table(count(participants.length, "participant"), ["Name", "Email", "Role", ...(participants.some((one) => actions(place, one)) ? ["Actions"] : [])],
      participants.map((one) => [
        one.userName, one.email, roleControl(place, path, one, reload), actions(place, one) && removeButton(place, path, one, reload),
      ].slice(0, participants.some((other) => actions(place, other)) ? 4 : 3))),
    el("h2", {}, "Platforms"),
    administers ? platformForm(path, platforms) : el("p", {}, platforms.join(", ") || "None."),
  ]);
}

/** @param {Place} place @param {Participant} one */
function actions(place, one) {
  return one.memberId === place.user.id || place.role === "owner" || (place.role === "admin" && one.wspRole !== "owner");
}

/** @param {Place} place */
function granted(place) {
  return ROLES.filter((role) => role !== "owner" || place.role === "owner").map((role) => /** @type {[string, string]} */ ([role, role]));
}

/**
 * @param {Place} place
 * @param {string} path
 * @param {Participant} one
 * @param {() => void} reload
 */
function roleControl(place, path, one, reload) {
  const changes = place.role === "owner" || (place.role === "admin" && one.wspRole !== "owner");
  if (!changes) return one.wspRole;
  const role = select(granted(place), one.wspRole);
  role.setAttribute("aria-label", `Role of ${one.userName}`);
  role.addEventListener("change", () => {
    openDialog({
      title: `Change the role of ${one.userName}`, action: "Change role",
      content: [el("p", {}, `${one.userName} changes from ${one.wspRole} to ${role.value}. The new role applies immediately.`)],
      submit: async () => {
        await send("PUT", `${path}/participants/${one.memberId}/role`, { body: { role: role.value } });
        reload();
        return `${one.userName} has the role ${role.value}.`;
      },
    }).dialog.addEventListener("close", () => { if (role.isConnected) role.value = one.wspRole; });
  });
  return role;
}

/**
 * @param {Place} place
 * @param {string} path
 * @param {Participant} one
 * @param {() => void} reload
 */
function removeButton(place, path, one, reload) {
  const self = one.memberId === place.user.id;
  const label = self ? "Leave" : "Remove";
  return button(label, () => openDialog({
    title: self ? `Leave ${place.title}` : `Remove ${one.userName}`, action: label, danger: true,
    content: [el("p", {}, self ? "You lose access to the secrets and runs of this workspace." : `${one.userName} loses access to the secrets and runs of this workspace immediately.`)],
    submit: async () => {
      await send("DELETE", `${path}/participants/${one.memberId}`);
      if (self) location.hash = "#/";
      else reload();
      return self ? `You left ${place.title}.` : `Removed ${one.userName}.`;
    },
  }), { class: "danger", "aria-label": self ? "Leave the workspace" : `Remove ${one.userName}` });
}

/**
 * @param {Place} place
 * @param {string} path
 * @param {() => void} reload
 */
function add(place, path, reload) {
  const name = el("input", { required: true, autocomplete: "off", autocapitalize: "off", spellcheck: false });
  const role = select(granted(place), "view");
  openDialog({
    title: `Add a participant to ${place.title}`, action: "Add",
    content: [field("User name or email address", name, "The user must exist in this deployment."), field("Role", role)],
    submit: async () => {
      await send("PUT", `${path}/participants/add`, { body: { userNameOrEmail: name.value, role: role.value } });
      reload();
      return `Added ${name.value}.`;
    },
  });
}

/**
 * @param {string} path
 * @param {string[]} platforms
 */
function platformForm(path, platforms) {
  const boxes = PLATFORMS.map((platform) => check(platform, platforms.includes(platform)));
  const action = el("button", { type: "submit" }, "Save platforms");
  const error = el("div");
  const form = el("form", {}, el("fieldset", {}, el("legend", {}, "Launches are allowed on"), ...boxes.map((one) => one.label),
    el("p", { class: "hint" }, "On all platforms except aws-batch, values leave AWS for your cluster.")), error, el("p", { class: "buttons" }, action));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void working(action, async () => {
      try {
        await send("PUT", `${path}/platforms`, { body: { platforms: boxes.filter((one) => one.box.checked).map((one) => one.box.value) } });
        error.replaceChildren();
        announce("Saved the platforms.");
      } catch (reason) {
        error.replaceChildren(problem(reason));
      }
    });
  });
  return form;
}

/**
 * @param {HTMLElement} target
 * @param {Row[]} rows The organizations and workspaces of the user.
 */
export function tokens(target, rows) {
  const reload = () => void tokens(target, rows);
  /** @type {[string, string][]} */
  const workspaces = rows.filter((row) => row.workspaceId !== null)
    .map((row) => [String(row.workspaceId), `${row.orgName} / ${row.workspaceName}`]);
  const names = new Map(workspaces);
  /** @param {Token} one */
  const where = (one) => one.workspaceId === null ? "everywhere" : names.get(String(one.workspaceId)) ?? `workspace ${one.workspaceId}`;
  return fill(target, async () => /** @type {{tokens: Token[]}} */ (await read("/tokens")).tokens, (list) => [
    el("p", {}, "Your personal access tokens, for this console and for other clients. A token can do what you can do, within its scope and workspace."),
    el("div", { class: "bar" }, button("Create token", () => create(workspaces, reload), { class: "primary" })),
    table(count(list.length, "token"), ["Name", "Scope", "Workspace", "Created", "Last used", "Expires", "Actions"], list.map((one) => [
      one.name, one.scope, where(one), when(one.dateCreated), when(one.lastUsed), expiry(one.expires),
      button("Revoke", () => revoke(one, reload), { class: "danger", "aria-label": `Revoke ${one.name}` }),
    ])),
  ]);
}

/**
 * @param {[string, string][]} workspaces Ids and names.
 * @param {() => void} reload
 */
function create(workspaces, reload) {
  const name = el("input", { required: true, maxLength: 50, autocomplete: "off", spellcheck: false });
  const expires = el("input", { type: "datetime-local" });
  const scope = select([["all", "all: what you can do"], ["read", "read: change nothing"], ["launch", "launch: launches only, for clusters"]]);
  const workspace = select([["", "everywhere"], ...workspaces]);
  openDialog({
    title: "Create a token", action: "Create",
    content: [
      field("Name", name, "Where it is used, for example ci."), field("Scope", scope), field("Workspace", workspace),
      field("Expires (optional)", expires, "Without a date, as late as the deployment allows."),
    ],
    submit: async () => {
      /** @type {Record<string, string | number>} */
      const body = { name: name.value, scope: scope.value };
      if (workspace.value) body["workspaceId"] = Number(workspace.value);
      const until = fromLocal(expires.value);
      if (until) body["expires"] = until;
      /** @type {{data: {accessKey: string}}} */
      const { data } = await send("POST", "/tokens", { body });
      reload();
      openDialog({
        title: `Token ${name.value}`,
        content: [el("p", {}, "Copy the token now: it is shown only once. Closing this dialog removes it from the page."), copyable("token", data.accessKey)],
      });
    },
  });
}

/** @param {Token} one @param {() => void} reload */
function revoke(one, reload) {
  openDialog({
    title: `Revoke ${one.name}`, action: "Revoke", danger: true,
    content: [el("p", {}, "Clients with this token are refused within a minute. If you are signed in with it, you have to sign in with another one.")],
    submit: async () => {
      await send("DELETE", `/tokens/${one.id}`);
      reload();
      return `Revoked ${one.name}.`;
    },
  });
}
