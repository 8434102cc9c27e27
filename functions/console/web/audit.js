/**
 * The audit trail of a month.
 *
 * @typedef {import("./main.js").Place} Place
 * @typedef {import("./api.js").Event} Event
 */
import { read } from "./api.js";
import { button, count, el, field, fill, select, table, when } from "./ui.js";

const MOST = 1000;

/**
 * @param {HTMLElement} target
 * @param {Place} place
 */
export function audit(target, place) {
  const month = el("input", { type: "month", required: true, pattern: "[0-9]{4}-[0-9]{2}", value: new Date().toISOString().slice(0, 7), max: "9999-12" });
  const page = el("div");
  const load = () => fill(page, async () => {
    const [trail, people] = await Promise.all([
      /** @type {Promise<{events: Event[]}>} */ (read("/audit-events", { workspaceId: place.workspace, month: month.value, max: MOST })), place.people()]);
    return { events: trail.events, people };
  }, ({ events, people }) => content(events, people, month.value));
  month.addEventListener("change", () => { if (month.checkValidity()) void load(); });
  target.replaceChildren(el("div", { class: "bar" }, field("Month (UTC)", month)), page);
  return load();
}

/**
 * @param {Event[]} events
 * @param {Map<number, string>} people
 * @param {string} month
 */
function content(events, people, month) {
  if (events.length === 0) return [el("p", {}, "No events.")];
  /** @param {number | null} user */
  const name = (user) => (user === null ? "the service" : people.get(user) ?? `user ${user}`);
  const rows = events.map((event) => ({
    event, actor: name(event.actor),
    subjects: event.subjects.map((subject) => `${subject.name} (version ${subject.version})`).join(", "),
    about: [event.person === null ? "" : name(event.person), event.run ?? "", event.detail ?? ""].filter(Boolean).join(", "),
  }));
  const actor = filter(rows.map((row) => row.actor));
  const action = filter(events.map((event) => event.action));
  const secret = el("input", { type: "search", autocomplete: "off", spellcheck: false });
  const found = table(`${count(events.length, "event")}, newest first`, ["Time", "Action", "By", "Secrets", "Details"], rows.map((row) => [
    when(row.event.date, "exact"), row.event.action, row.actor, row.subjects, row.about]));
  const lines = found.querySelectorAll("tbody tr");
  const shown = el("p", { class: "hint", role: "status" });
  const matches = () => rows.filter((row) => (actor.value === "" || row.actor === actor.value)
    && (action.value === "" || row.event.action === action.value)
    && row.subjects.toLowerCase().includes(secret.value.toLowerCase()));
  const apply = () => {
    const kept = new Set(matches());
    rows.forEach((row, index) => { /** @type {HTMLElement} */ (lines[index]).hidden = !kept.has(row); });
    shown.textContent = kept.size === rows.length ? "" : `${kept.size} of ${count(rows.length, "event")}`;
  };
  for (const control of [actor, action]) control.addEventListener("change", apply);
  secret.addEventListener("input", apply);
  return [
    el("div", { class: "bar" }, field("By", actor), field("Action", action), field("Secret", secret),
      button("Download CSV", () => download(`audit-${month}.csv`, [
        ["time", "id", "action", "actor", "actorName", "person", "run", "secrets", "detail"],
        ...matches().map(({ event, actor: by, subjects }) => [
          event.date, event.id, event.action, event.actor ?? "", by, event.person ?? "", event.run ?? "", subjects, event.detail ?? ""]),
      ]))),
    shown,
    events.length === MOST && el("p", { class: "note" }, `Only the newest ${MOST} events of the month are shown.`),
    found,
  ];
}

/** @param {string[]} values */
function filter(values) {
  return select([["", "all"], ...[...new Set(values)].sort().map((value) => /** @type {[string, string]} */ ([value, value]))]);
}

/**
 * @param {string} name
 * @param {(string | number)[][]} rows
 */
function download(name, rows) {
  const csv = rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
  const url = URL.createObjectURL(new Blob([csv], { type: "text/csv" }));
  const link = el("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** @param {string | number} content A spreadsheet must not read it as a formula. */
function cell(content) {
  const text = String(content);
  return `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
}
