/**
 * What a launch would deliver, and the command to launch it elsewhere. The page does not launch: run
 * and claim tokens have no place in a browser.
 *
 * @typedef {import("./main.js").Place} Place
 * @typedef {import("./api.js").Secret} Secret
 * @typedef {import("./api.js").Preview} Preview
 */
import { endpoint, read, send } from "./api.js";
import { check, copyable, count, el, expiry, field, fill, problem, select, table, working } from "./ui.js";
import { environmentsOf } from "./environments.js";
import { list, listOwn } from "./secrets.js";

const PLATFORMS = ["aws-batch", "slurm", "lsf", "pbs-pro", "grid-engine", "moab", "kubernetes"];

/**
 * @param {HTMLElement} target
 * @param {Place} place
 */
export function preview(target, place) {
  const load = async () => {
    const described = place.workspace === null ? null : read(`/orgs/${place.org}/workspaces/${place.workspace}`);
    const [answer, here, mine, elsewhere] = await Promise.all([
      described, place.workspace === null ? [] : list(place.workspace), listOwn(), environmentsOf(place)]);
    return { platforms: /** @type {string[]} */ (answer?.workspace.platforms ?? PLATFORMS), here, mine, elsewhere };
  };
  return fill(target, load, ({ platforms, here, mine, elsewhere }) => {
    if (platforms.length === 0) return [el("p", {}, "The workspace allows no platform yet. An owner or admin can allow one under People.")];
    const platform = select(platforms.map((one) => [one, one]));
    const layout = select([["", "default of the deployment"], ["plugin", "plugin: for the Nextflow plugin"], ["per-name", "per-name: one copy per secret"], ["bundle", "bundle: for job definitions"]]);
    const layoutBox = field("Layout of the copies", layout);
    const environment = select([["", "account and region of the service"], ...elsewhere.map((one) => /** @type {[string, string]} */ ([one.id, `${one.name} (${one.region})`]))]);
    const environmentBox = field("Environment", environment);
    const forPlatform = () => {
      layoutBox.hidden = platform.value !== "aws-batch";
      environmentBox.hidden = platform.value !== "aws-batch" || elsewhere.length === 0;
    };
    platform.addEventListener("change", forPlatform);
    forPlatform();
    const workspaceNames = names("Workspace secrets", here);
    const userNames = mine === null ? null : names("My secrets", mine);
    const result = el("div", { "aria-live": "polite" });
    const action = el("button", { type: "submit", class: "primary" }, "Show preview");
    const form = el("form", {},
      el("div", { class: "bar" }, field("Platform", platform), environmentBox, layoutBox),
      place.workspace !== null && workspaceNames.box,
      userNames ? userNames.box : el("p", { class: "note" }, "Your token is only for this workspace. A launch with it uses all your user secrets, but it cannot list them here."),
      el("p", { class: "buttons" }, action));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      /** @type {Record<string, unknown>} */
      const body = { platform: platform.value };
      if (platform.value === "aws-batch" && layout.value !== "") body["layout"] = layout.value;
      if (platform.value === "aws-batch" && environment.value !== "") body["computeEnvId"] = environment.value;
      const [fromWorkspace, fromUser] = [place.workspace === null ? null : workspaceNames.chosen(), userNames?.chosen() ?? null];
      if (fromWorkspace) body["workspaceSecrets"] = fromWorkspace;
      if (fromUser) body["userSecrets"] = fromUser;
      void working(action, async () => {
        try {
          /** @type {{data: Preview}} */
          const { data } = await send("POST", "/launches/preview", { query: { workspaceId: place.workspace }, body });
          result.replaceChildren(...shown(data), ...commands(place, body));
        } catch (error) {
          result.replaceChildren(problem(error));
        }
      });
    });
    return [el("p", {}, "A preview shows which secrets a launch would deliver. It creates nothing."), form, result];
  });
}

/**
 * A choice of names: all, also those that are added later, or some.
 *
 * @param {string} label
 * @param {Secret[]} secrets
 */
function names(label, secrets) {
  const all = check(`All (${secrets.length})`, true);
  const boxes = secrets.map((secret) => check(secret.name, false));
  const listed = el("div", { class: "names", hidden: true, tabIndex: 0, role: "group", "aria-label": `Names of ${label.toLowerCase()}` }, ...boxes.map((one) => one.label));
  all.box.addEventListener("change", () => { listed.hidden = all.box.checked; });
  return {
    box: el("fieldset", {}, el("legend", {}, label), all.label, listed),
    chosen: () => (all.box.checked ? null : boxes.filter((one) => one.box.checked).map((one) => one.box.value)),
  };
}

/** @param {Preview} data */
function shown(data) {
  const where = data.computeEnv ? ` of account ${data.computeEnv.accountId}, region ${data.computeEnv.region}` : "";
  const copies = data.platform === "aws-batch"
    ? `The launch would create ${data.copies} ${data.copies === 1 ? "copy" : "copies"} in AWS Secrets Manager${where} (${data.layout}).`
    : "The head job would get the secrets once, with its claim token. The launch would create no copies in AWS.";
  const rows = data.secrets.map((secret) => [
    secret.name,
    el("span", { class: secret.owner === "user" ? "badge" : "badge good" }, secret.owner === "user" ? "mine" : "workspace"),
    secret.version,
    secret.overrides !== null && el("span", { class: "badge" }, "overrides the workspace secret"),
    expiry(secret.expires),
  ]);
  return [
    el("h2", {}, "What a launch would deliver"),
    el("p", {}, copies),
    ...data.warnings.map((warning) => el("p", { class: "note" }, warning)),
    data.secrets.length === 0 ? el("p", {}, "No secrets.") : table(count(data.secrets.length, "secret"), ["Name", "Owner", "Version", "Overrides", "Expires"], rows),
  ];
}

/**
 * @param {Place} place
 * @param {Record<string, unknown>} body
 */
function commands(place, body) {
  const token = "with your token in ~/.pipeline-secrets/token (mode 0600).";
  let [where, label, command] = [`Use this as the last line of the job script, ${token}`, "job script line", script(place, body)];
  if (body["platform"] === "aws-batch") [where, label] = [`Run this where Nextflow runs, ${token}`, "command"];
  if (body["platform"] === "kubernetes") {
    where = "Use this as command and args of the container in infra/kubernetes/head-job.yaml, and leave out the address and the workspace there.";
    [label, command] = ["command of the pod", container(place, body)];
  }
  if (body["layout"] === "bundle") {
    where = "Run this where the job definition is registered, with your token in the file ~/.pipeline-secrets/header as “Authorization: Bearer TOKEN” (mode 0600). The response contains the run token.";
    [label, command] = ["launch command", request(place, body)];
  }
  return [el("h2", {}, "The command to run it"), el("p", {}, where), copyable(label, command)];
}

/**
 * The options of `nextflow-with-secrets`, each with its value.
 *
 * @param {Place} place
 * @param {Record<string, unknown>} body
 */
function options(place, body) {
  /** @param {unknown} names */
  const listed = (names) => /** @type {string[]} */ (names).join(",") || "none";
  /** @type {[string, string | null][]} */
  const known = [
    ["--endpoint", endpoint],
    ["--workspace", place.workspace === null ? null : String(place.workspace)],
    ["--platform", String(body["platform"])],
    ["--compute-env", body["computeEnvId"] ? String(body["computeEnvId"]) : null],
    ["--use", body["layout"] === "plugin" ? "plugin" : body["layout"] === "per-name" ? "config" : null],
    ["--workspace-secrets", body["workspaceSecrets"] ? listed(body["workspaceSecrets"]) : null],
    ["--user-secrets", body["userSecrets"] ? listed(body["userSecrets"]) : null],
  ];
  return known.flatMap(([option, value]) => (value === null ? [] : [/** @type {[string, string]} */ ([option, value])]));
}

/**
 * A command for a shell.
 *
 * @param {Place} place
 * @param {Record<string, unknown>} body
 */
function script(place, body) {
  const lines = options(place, body).map(([option, value]) => `${option} ${/^[\w,.-]+$/.test(value) ? value : quoted(value)}`);
  const [exec, profile] = body["platform"] === "aws-batch" ? ["", " -profile awsbatch"] : ["exec ", ""];
  return `${exec}nextflow-with-secrets ${lines.join(" \\\n  ")} \\\n  -- nextflow run main.nf${profile}`;
}

/**
 * The command of a container. JSON is YAML.
 *
 * @param {Place} place
 * @param {Record<string, unknown>} body
 */
function container(place, body) {
  const command = ["/pipeline-secrets/nextflow-with-secrets", ...options(place, body).flat(), "--"];
  const args = ["nextflow", "-c", "/pipeline-secrets/nextflow.config", "run", "main.nf"];
  return `command: ${JSON.stringify(command)}\nargs: ${JSON.stringify(args)}`;
}

/**
 * @param {Place} place
 * @param {Record<string, unknown>} body
 */
function request(place, body) {
  const url = endpoint + "/launches" + (place.workspace === null ? "" : `?workspaceId=${place.workspace}`);
  return [
    "KEY=$(openssl rand -hex 16)   # a new key for each launch; the same key for each retry",
    `(umask 077; curl -sS --fail-with-body ${quoted(url)} \\`,
    "  -H @\"$HOME/.pipeline-secrets/header\" -H 'Content-Type: application/json' \\",
    `  -H "Idempotency-Key: $KEY" -d ${quoted(JSON.stringify(body))} >launch.json)`,
    "jq .batch.secrets launch.json",
  ].join("\n");
}

/** @param {string} text */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
