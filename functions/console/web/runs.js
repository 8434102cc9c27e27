/**
 * Runs and their receipts.
 *
 * @typedef {import("./main.js").Place} Place
 * @typedef {import("./api.js").Run} Run
 */
import { ApiError, read, send } from "./api.js";
import { button, check, count, el, field, fill, openDialog, select, table, when } from "./ui.js";

const STATES = ["provisioning", "pending", "running", "ending", "ended"];
const PAGE = 50;

/** @type {Record<string, string>} */
const REPORTED = {
  launch: "the launch failed", report: "the run reported its end", "head-job": "AWS Batch ended the head job",
  sweep: "no sign of the run until its lease expired",
};

/**
 * @param {HTMLElement} target
 * @param {Place} place
 * @param {string} id
 */
export function runs(target, place, id) {
  return id === "" ? listOf(target, place) : receipt(target, place, id);
}

/**
 * @param {HTMLElement} target
 * @param {Place} place
 */
function listOf(target, place) {
  const state = select([["", "all"], ...STATES.map((one) => /** @type {[string, string]} */ ([one, one]))]);
  const page = el("div");
  /** @param {string | null} after @returns {Promise<void>} */
  const load = (after) => fill(page, async () => {
    const query = { workspaceId: place.workspace, max: PAGE, after, state: state.value };
    const [list, people] = await Promise.all([
      /** @type {Promise<{runs: Run[], next: string | null}>} */ (read("/runs", query)), place.people()]);
    return { ...list, people };
  }, ({ runs, next, people }) => [
    runs.length === 0 ? el("p", {}, "No runs.") : table(`${count(runs.length, "run")}, newest first`,
      ["Run", "State", "Platform", "Launched", "By", "Secrets", "Result"], runs.map((run) => [
        el("a", { href: place.to("runs", run.workflowId) }, run.workflowId),
        stateOf(run), run.platform, when(run.dateLaunched), nameOf(people, run.userId), run.secrets.length, result(run),
      ])),
    el("p", { class: "buttons" },
      after !== null && button("First page", () => load(null)),
      next !== null && button("Next page", () => load(next)),
      button("Refresh", () => load(after))),
  ]);
  state.addEventListener("change", () => void load(null));
  target.replaceChildren(el("div", { class: "bar" }, field("State", state)), page);
  return load(null);
}

/**
 * @param {HTMLElement} target
 * @param {Place} place
 * @param {string} id
 * @returns {Promise<void>}
 */
function receipt(target, place, id) {
  const load = async () => {
    const [run, people] = await Promise.all([
      /** @type {Promise<Run>} */ (read(`/runs/${encodeURIComponent(id)}`, { workspaceId: place.workspace })), place.people()]);
    return { run, people };
  };
  return fill(target, load, ({ run, people }) => [
    el("p", {}, el("a", { href: place.to("runs") }, "All runs")),
    el("h2", {}, `Receipt of run ${run.workflowId}`),
    el("dl", {},
      ...term("State", stateOf(run)),
      ...term("Launched by", nameOf(people, run.userId)),
      ...term("Platform", run.layout === null ? run.platform : `${run.platform}, ${run.layout}`),
      ...(run.computeEnv ? term("Environment", `account ${run.computeEnv.accountId}, region ${run.computeEnv.region} (${run.computeEnv.id})`) : []),
      ...(run.headJob ? term("Head job", `${run.headJob.jobId} in ${run.headJob.jobQueue} (${run.headJob.region})`) : []),
      ...(run.outcome ? term("Result", result(run)) : []),
      ...(run.leaseUntil && run.state !== "ended" ? term("Ends without a heartbeat", when(run.leaseUntil, "exact")) : [])),
    el("h2", {}, "What happened"),
    el("ol", { class: "timeline" },
      step("Launched", run.dateLaunched),
      step(run.platform === "aws-batch" ? "Copies created" : "Secrets claimed by the head job", run.dateDelivered),
      step(run.outcome ? `Ended: ${endedBy(run.outcome, people)}` : "Ended", run.dateEnding),
      step(run.copies.length === 0 ? "Closed" : "Last copy deleted", run.dateRemoved)),
    el("h2", {}, "What it received"),
    run.secrets.length === 0 ? el("p", {}, "No secrets.") : table(count(run.secrets.length, "secret"), ["Name", "Owner", "Version", "Overrides"], run.secrets.map((secret) => [
      secret.name,
      el("span", { class: secret.owner === "user" ? "badge" : "badge good" }, secret.owner === "user" ? "the launcher" : "workspace"),
      secret.version,
      secret.overrides && "a workspace secret",
    ])),
    ...(run.copies.length === 0 ? [] : [
      el("h2", {}, run.dateRemoved ? "Copies, deleted" : "Copies in AWS Secrets Manager"),
      run.outcome?.copiesLeft && el("p", { class: "note" }, "The environment could not be used until 30 days after the latest end of the run. Copies may be left there: its owner can delete them."),
      el("ul", {}, ...run.copies.map((copy) => el("li", {}, el("code", {}, copy)))),
    ]),
    el("p", { class: "buttons" }, button("Refresh", () => receipt(target, place, id)),
      mayCancel(place, run) && button("End run", () => cancel(place, run, () => void receipt(target, place, id)), { class: "danger" })),
  ]);
}

/** @param {import("./api.js").Outcome} outcome @param {Map<number, string>} people */
function endedBy(outcome, people) {
  if (outcome.cancelledBy !== null) return `cancelled by ${nameOf(people, outcome.cancelledBy)}`;
  return REPORTED[outcome.reportedBy] ?? outcome.reportedBy;
}

/** @param {Place} place @param {Run} run */
function mayCancel(place, run) {
  return ["provisioning", "pending", "running"].includes(run.state)
    && (["owner", "admin", "maintain"].includes(place.role) || run.userId === place.user.id);
}

/**
 * Ends a run after a confirmation. If the service says that its head job is alive, the dialog offers
 * to end it nevertheless.
 *
 * @param {Place} place
 * @param {Run} run
 * @param {() => void} reload
 */
function cancel(place, run, reload) {
  const force = check("End it although its head job may need the secrets", false);
  force.label.hidden = true;
  openDialog({
    title: `End run ${run.workflowId}`, action: "End run", danger: true,
    content: [
      el("p", {}, run.platform === "aws-batch"
        ? "The copies of its secrets are deleted. Tasks that start later cannot read them and fail."
        : "A claim token that was not used becomes invalid. Secrets that the head job has claimed stay with it."),
      el("p", {}, "This stops no job: cancel the job where it runs."),
      force.label,
    ],
    submit: async () => {
      try {
        await send("POST", `/workflow/${encodeURIComponent(run.workflowId)}/cancel`, {
          query: { workspaceId: place.workspace, force: force.box.checked ? "true" : null } });
      } catch (error) {
        force.label.hidden = !(run.headJob && error instanceof ApiError && error.status === 409);
        throw error;
      }
      reload();
      return `Ended run ${run.workflowId}.`;
    },
  });
}

/** @param {string} name @param {import("./ui.js").Child} detail */
function term(name, detail) {
  return [el("dt", {}, name), el("dd", {}, detail)];
}

/** @param {string} label @param {string | null} date */
function step(label, date) {
  return el("li", { class: date ? "done" : "open" }, el("strong", {}, label), " ", when(date, "exact", "not yet"));
}

/** @param {Run} run */
function stateOf(run) {
  return el("span", { class: run.state === "ended" ? "badge good" : "badge" }, run.state);
}

/** @param {Run} run */
function result(run) {
  if (!run.outcome) return null;
  const { result, exitStatus } = run.outcome;
  return el("span", { class: result === "succeeded" ? "badge good" : "badge bad" }, exitStatus === null ? result : `${result}, exit status ${exitStatus}`);
}

/** @param {Map<number, string>} people @param {number} user */
function nameOf(people, user) {
  return people.get(user) ?? `user ${user}`;
}
