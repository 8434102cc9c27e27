/**
 * Compute environments: other AWS accounts and regions where runs of the workspace execute, and the
 * roles there.
 *
 * @typedef {import("./main.js").Place} Place
 * @typedef {import("./api.js").Environment} Environment
 * @typedef {import("./api.js").EnvironmentRole} EnvironmentRole
 */
import { endpoint, read, send } from "./api.js";
import { announce, button, copyable, count, el, field, fill, openDialog, select, table, text, working } from "./ui.js";

/** @param {Place} place @returns {Promise<Environment[]>} */
export async function environmentsOf(place) {
  if (place.workspace === null) return [];
  /** @type {{computeEnvs: Environment[]}} */
  const { computeEnvs } = await read("/compute-envs", { workspaceId: place.workspace });
  return computeEnvs;
}

/**
 * @param {HTMLElement} target
 * @param {Place} place
 */
export function environments(target, place) {
  const reload = () => void environments(target, place);
  const administers = place.role === "owner" || place.role === "admin";
  const load = async () => {
    const [list, roles] = await Promise.all([
      environmentsOf(place),
      /** @type {Promise<{credentials: EnvironmentRole[]}>} */ (read("/credentials", { workspaceId: place.workspace }))]);
    return { list, roles: roles.credentials };
  };
  return fill(target, load, ({ list, roles }) => {
    const names = new Map(roles.map((role) => [role.id, role.name]));
    return [
      el("p", {}, "AWS accounts and regions, besides those of the service, where runs of this workspace can execute. An operator allows the accounts."),
      administers && el("div", { class: "bar" },
        button("Add role", () => addRole(place, reload), { class: "primary" }),
        roles.length > 0 && button("Add environment", () => addEnvironment(place, roles, reload))),
      list.length === 0 ? el("p", {}, "No environments.") : table(count(list.length, "environment"),
        ["Name", "Region", "Role", "Status", "ID", ...(administers ? ["Actions"] : [])], list.map((one) => [
          one.name, one.region, names.get(one.credentialsId) ?? one.credentialsId, status(one), el("code", {}, one.id),
          ...(administers ? [el("span", { class: "actions" }, checkButton(place, one, reload),
            removeButton(place, `/compute-envs/${one.id}`, one.name, "Runs that are on go on. Later launches cannot name the environment.", reload))] : []),
        ])),
      el("h2", {}, "Roles"),
      roles.length === 0 ? el("p", {}, "No roles.") : table(count(roles.length, "role"), ["Name", "Role", "Actions"], roles.map((role) => [
        role.name, el("code", {}, role.keys.assumeRoleArn),
        el("span", { class: "actions" }, button("Set up", () => setUp(place, role.id), { "aria-label": `Set up ${role.name}` }),
          administers && removeButton(place, `/credentials/${role.id}`, role.name, "The role in the other account stays there: delete its stack when no run executes there.", reload)),
      ])),
    ];
  });
}

/** @param {Environment} one */
function status(one) {
  if (one.status === "AVAILABLE") return el("span", { class: "badge good" }, "available");
  return el("span", {}, el("span", { class: "badge bad" }, "invalid"), " ", one.message);
}

/** @param {Place} place @param {() => void} reload */
function addRole(place, reload) {
  const name = el("input", { required: true, maxLength: 99, autocomplete: "off", spellcheck: false });
  const arn = el("input", { required: true, autocomplete: "off", spellcheck: false, placeholder: "arn:aws:iam::210987654321:role/pipeline-secrets-lab" });
  openDialog({
    title: "Add a role", action: "Add",
    content: [
      field("Name", name, "2 to 99 letters, digits, hyphens and underscores."),
      field("ARN of the role", arn, "The role does not have to exist yet. Its name begins with pipeline-secrets-."),
    ],
    submit: async () => {
      const keys = { mode: "role", assumeRoleArn: arn.value.trim() };
      /** @type {{data: {credentialsId: string}}} */
      const { data } = await send("POST", "/credentials", {
        query: { workspaceId: place.workspace }, body: { credentials: { name: name.value, provider: "aws", keys } } });
      reload();
      void setUp(place, data.credentialsId);
      return `Added ${name.value}.`;
    },
  });
}

/**
 * Shows what creates the role in the other account.
 *
 * @param {Place} place
 * @param {string} id
 */
async function setUp(place, id) {
  const content = el("div");
  openDialog({ title: "Set up the role", content: [content] });
  await fill(content, () => /** @type {Promise<{credentials: EnvironmentRole, setupSnippet: string}>} */ (
    read(`/credentials/${encodeURIComponent(id)}`, { workspaceId: place.workspace })), ({ credentials, setupSnippet }) => [
    el("p", {}, "Run this with AWS credentials of the other account, in the region of the environment, and with your token in TOWER_ACCESS_TOKEN. It creates the role and a rule that reports the ends of jobs. Then add the environment."),
    copyable("command", [
      `export TOWER_API_ENDPOINT='${endpoint}' TOWER_WORKSPACE_ID=${place.workspace}`,
      `infra/compute-environment --credentials ${credentials.id}`,
    ].join("\n")),
    el("p", {}, "The trust policy of the role:"),
    copyable("trust policy", setupSnippet),
  ]);
}

/** @param {Place} place @param {EnvironmentRole[]} roles @param {() => void} reload */
function addEnvironment(place, roles, reload) {
  const name = el("input", { required: true, maxLength: 99, autocomplete: "off", spellcheck: false });
  const role = select(roles.map((one) => [one.id, one.name]));
  const region = el("input", { required: true, maxLength: 32, autocomplete: "off", spellcheck: false, placeholder: "eu-west-1" });
  const workDir = el("input", { required: true, autocomplete: "off", spellcheck: false, placeholder: "s3://bucket/work" });
  const heads = el("input", { required: true, autocomplete: "off", spellcheck: false });
  const tasks = el("input", { required: true, autocomplete: "off", spellcheck: false });
  openDialog({
    title: "Add an environment", action: "Prove and add",
    content: [
      field("Name", name, "2 to 99 letters, digits, hyphens and underscores."), field("Role", role), field("Region", region),
      field("Work directory", workDir), field("Job queue of head jobs", heads), field("Job queue of tasks", tasks),
      el("p", { class: "hint" }, "The service proves the role, which takes up to half a minute, and stores nothing if the proof fails."),
    ],
    submit: async () => {
      const config = { region: region.value.trim(), workDir: workDir.value, headQueue: heads.value, computeQueue: tasks.value };
      await send("POST", "/compute-envs", {
        query: { workspaceId: place.workspace },
        body: { computeEnv: { name: name.value, platform: "aws-batch", credentialsId: role.value, config } } });
      reload();
      return `Added ${name.value}.`;
    },
  });
}

/** @param {Place} place @param {Environment} one @param {() => void} reload */
function checkButton(place, one, reload) {
  const control = button("Check", () => working(control, async () => {
    try {
      await send("POST", `/compute-envs/${one.id}/validate`, { query: { workspaceId: place.workspace } });
      announce(`Checked ${one.name}.`);
      reload();
    } catch (error) {
      announce(text(error));
    }
  }), { "aria-label": `Check ${one.name}` });
  return control;
}

/**
 * @param {Place} place
 * @param {string} path
 * @param {string} name
 * @param {string} consequence
 * @param {() => void} reload
 */
function removeButton(place, path, name, consequence, reload) {
  return button("Delete", () => openDialog({
    title: `Delete ${name}`, action: "Delete", danger: true, content: [el("p", {}, consequence)],
    submit: async () => {
      await send("DELETE", path, { query: { workspaceId: place.workspace } });
      reload();
      return `Deleted ${name}.`;
    },
  }), { class: "danger", "aria-label": `Delete ${name}` });
}
