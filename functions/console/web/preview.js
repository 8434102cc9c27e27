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
import { list } from "./secrets.js";

const PLATFORMS = ["aws-batch", "slurm", "lsf", "pbs-pro", "grid-engine", "moab", "kubernetes"];

/**
 * @param {HTMLElement} target
 * @param {Place} place
 */
export function preview(target, place) {
  const load = async () => {
    const described = place.workspace === null ? null : read(`/orgs/${place.org}/workspaces/${place.workspace}`);
    const [answer, here, mine, elsewhere] = await Promise.all([
      described, place.workspace === null ? [] : list(place.workspace), list(null), environmentsOf(place)]);
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
    const userNames = names("My secrets", mine);
    const result = el("div", { "aria-live": "polite" });
    const action = el("button", { type: "submit", class: "primary" }, "Show preview");
    const form = el("form", {},
      el("div", { class: "bar" }, field("Platform", platform), environmentBox, layoutBox),
      place.workspace !== null && workspaceNames.box, userNames.box,
      el("p", { class: "buttons" }, action));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      /** @type {Record<string, unknown>} */
      const body = { platform: platform.value };
      if (platform.value === "aws-batch" && layout.value !== "") body["layout"] = layout.value;
      if (platform.value === "aws-batch" && environment.value !== "") body["computeEnvId"] = environment.value;
      const [fromWorkspace, fromUser] = [place.workspace === null ? null : workspaceNames.chosen(), userNames.chosen()];
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
  if (body["platform"] === "kubernetes") [where, label] = ["Use this as the command of the head job’s pod, as in infra/kubernetes/head-job.yaml.", "command of the pod"];
  if (body["layout"] === "bundle") {
    where = "Run this where the job definition is registered, with your token in the file ~/.pipeline-secrets/header as “Authorization: Bearer TOKEN” (mode 0600). The response contains the run token.";
    [label, command] = ["launch command", request(place, body)];
  }
  return [el("h2", {}, "The command to run it"), el("p", {}, where), copyable(label, command)];
}

/**
 * @param {Place} place
 * @param {Record<string, unknown>} body
 */
function script(place, body) {
  /** @param {unknown} names */
  const listed = (names) => /** @type {string[]} */ (names).join(",") || "none";
  const options = [
    `--endpoint ${quoted(endpoint)}`,
    place.workspace === null ? null : `--workspace ${place.workspace}`,
    `--platform ${body["platform"]}`,
    body["computeEnvId"] ? `--compute-env ${body["computeEnvId"]}` : null,
    body["layout"] === "plugin" ? "--use plugin" : body["layout"] === "per-name" ? "--use config" : null,
    body["workspaceSecrets"] ? `--workspace-secrets ${listed(body["workspaceSecrets"])}` : null,
    body["userSecrets"] ? `--user-secrets ${listed(body["userSecrets"])}` : null,
  ];
  const [exec, profile] = body["platform"] === "aws-batch" ? ["", " -profile awsbatch"] : ["exec ", ""];
  return `${exec}nextflow-with-secrets ${options.filter((one) => one !== null).join(" \\\n  ")} \\\n  -- nextflow run main.nf${profile}`;
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
