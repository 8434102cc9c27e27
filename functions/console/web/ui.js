/**
 * Elements that the views share. Everything is created as an element or as text: no text of the
 * service or of a user becomes markup.
 */
import { ApiError } from "./api.js";

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * Creates an element. A property whose name has a dash, and `role`, `for` and `class`, is set as an
 * attribute.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, unknown>} [properties]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.includes("-") || ["role", "for", "class", "scope", "autocomplete"].includes(name)) element.setAttribute(name, String(value));
    else Reflect.set(element, name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : visible(String(child)))));
  return element;
}

/**
 * Replaces control characters, except for line breaks and tabs, and those that change the direction
 * of text, so that no text looks like another one.
 *
 * @param {string} content
 */
function visible(content) {
  return content.replace(/[^\P{Cc}\n\t]|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, "\ufffd");
}

let fields = 0;

/**
 * A labelled control with a hint and a place for its error.
 *
 * @param {string} label
 * @param {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} control
 * @param {string} [hint]
 */
export function field(label, control, hint) {
  control.id = `field-${++fields}`;
  const described = `${control.id}-hint`;
  if (hint !== undefined) control.setAttribute("aria-describedby", described);
  return el("div", { class: "field" }, el("label", { for: control.id }, label), control,
    hint !== undefined && el("p", { class: "hint", id: described, "aria-live": "polite" }, hint));
}

/**
 * @param {string} label
 * @param {boolean} checked
 * @param {string} [value]
 */
export function check(label, checked, value) {
  const box = el("input", { type: "checkbox", checked, value: value ?? label });
  return { box, label: el("label", { class: "check" }, box, label) };
}

/**
 * @param {[string, string][]} options Values and labels.
 * @param {string} [selected]
 */
export function select(options, selected) {
  const control = el("select", {}, ...options.map(([value, label]) => el("option", { value }, label)));
  if (selected !== undefined) control.value = selected;
  return control;
}

/**
 * @param {string} label
 * @param {() => unknown} action
 * @param {Record<string, unknown>} [properties]
 */
export function button(label, action, properties = {}) {
  const made = el("button", { type: "button", ...properties }, label);
  made.addEventListener("click", () => void action());
  return made;
}

/**
 * A field for a secret value: masked, and never filled in, checked or remembered by the browser.
 * Not an `<input type=password>`, which drops line breaks.
 *
 * @param {string} label
 * @param {string} hint
 */
export function secretField(label, hint) {
  const control = el("textarea", { class: "masked secret", autocomplete: "off", autocapitalize: "off", spellcheck: false, rows: 3, required: true, "data-1p-ignore": "", "data-lpignore": "true" });
  const box = field(label, control, hint);
  const show = check("Show", false);
  show.box.addEventListener("change", () => control.classList.toggle("masked", !show.box.checked));
  box.append(show.label);
  return { control, box };
}

/** Empties every field with a value or a token. */
export function wipe(/** @type {ParentNode} */ root = document) {
  for (const control of root.querySelectorAll("textarea.secret, input[type=password]")) {
    /** @type {HTMLInputElement} */ (control).value = "";
  }
}

const LONG = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const AGO = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

/**
 * A time, exact or relative to now.
 *
 * @param {string | null | undefined} date
 * @param {"exact" | "about"} style
 * @param {string} [otherwise]
 */
export function when(date, style = "about", otherwise = "never") {
  if (!date) return el("span", { class: "quiet" }, otherwise);
  const time = new Date(date);
  return el("time", { dateTime: date, title: LONG.format(time) }, style === "exact" ? LONG.format(time) : about(time));
}

/** @param {Date} time */
function about(time) {
  const seconds = (time.getTime() - Date.now()) / 1000;
  const size = Math.abs(seconds);
  if (size < 60) return AGO.format(Math.round(seconds), "second");
  if (size < 3600) return AGO.format(Math.round(seconds / 60), "minute");
  if (size < 86_400) return AGO.format(Math.round(seconds / 3600), "hour");
  return size < 30 * 86_400 ? AGO.format(Math.round(seconds / 86_400), "day") : DAY.format(time);
}

/**
 * A badge for a date after which a secret or a token is refused: two weeks before.
 *
 * @param {string | undefined} expires
 */
export function expiry(expires) {
  if (!expires) return null;
  const days = (new Date(expires).getTime() - Date.now()) / 86_400_000;
  if (days <= 0) return el("span", { class: "badge bad" }, "Expired ", when(expires));
  return days <= 14 ? el("span", { class: "badge" }, "Expires ", when(expires)) : el("span", {}, when(expires));
}

/**
 * A value of `datetime-local`, in the time zone of the browser.
 *
 * @param {string | undefined} date
 */
export function toLocal(date) {
  if (!date) return "";
  const time = new Date(date);
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** @param {string} local */
export function fromLocal(local) {
  return local === "" ? null : new Date(local).toISOString().replace(/\.\d+/, "");
}

/**
 * A table. The first cell of each row is its header. On narrow screens, each row becomes a block.
 *
 * @param {string} caption
 * @param {string[]} columns
 * @param {Child[][]} rows
 */
export function table(caption, columns, rows) {
  const head = el("tr", { role: "row" }, ...columns.map((column) => el("th", { scope: "col", role: "columnheader" }, column)));
  const body = rows.map((cells) => el("tr", { role: "row" }, ...cells.map((cell, index) => index === 0
    ? el("th", { scope: "row", role: "rowheader" }, cell)
    : el("td", { role: "cell", "data-label": columns[index] === "Actions" ? "" : columns[index] }, cell))));
  return el("table", { role: "table" }, el("caption", {}, caption),
    el("thead", { role: "rowgroup" }, head), el("tbody", { role: "rowgroup" }, ...body));
}

/**
 * Shows a problem with what the service says, and a button that tries again.
 *
 * @param {unknown} error
 * @param {() => void} [again]
 */
export function problem(error, again) {
  return el("div", { class: "problem", role: "alert" }, el("p", {}, text(error)), again && button("Try again", again));
}

/** @param {unknown} error */
export function text(error) {
  return error instanceof ApiError ? error.message : "The console failed. Reload the page.";
}

/** @param {string} message Is shown for six seconds and read by screen readers. */
export function announce(message) {
  const status = /** @type {HTMLElement} */ (document.getElementById("status"));
  status.textContent = message;
  setTimeout(() => { if (status.textContent === message) status.textContent = ""; }, 6000);
}

/**
 * Loads data into an element, which shows that it loads, and what is wrong. An answer that comes
 * after a later call for the same element is ignored.
 *
 * @template T
 * @param {HTMLElement} target
 * @param {() => Promise<T>} load
 * @param {(data: T) => Child[]} render
 */
export async function fill(target, load, render) {
  const waiting = el("p", { class: "quiet" }, "Loading …");
  target.setAttribute("aria-busy", "true");
  target.replaceChildren(waiting);
  let content;
  try {
    const data = await load();
    if (waiting.parentNode === target) content = el("div", {}, ...render(data));
  } catch (error) {
    content = problem(error, () => void fill(target, load, render));
  }
  if (waiting.parentNode !== target || !content) return;
  target.replaceChildren(content);
  target.removeAttribute("aria-busy");
}

/**
 * Opens a modal dialog with a form. Closing it removes it, with everything that was typed.
 *
 * `submit` returns whether to close the dialog. If it fails, the dialog shows why and stays open, so
 * that nothing that was typed is lost.
 *
 * @param {{title: string, content: Child[], action?: string, danger?: boolean, close?: string,
 *   submit?: () => Promise<void | string>}} options
 */
export function openDialog(options) {
  const title = el("h2", { id: `dialog-${++fields}` }, options.title);
  const error = el("p", { class: "error", role: "alert" });
  const action = el("button", { type: "submit", class: options.danger ? "danger" : "primary" }, options.action ?? "");
  const close = button(options.close ?? (options.submit ? "Cancel" : "Close"), () => dialog.close());
  const buttons = el("p", { class: "buttons" }, options.submit && action, close);
  const form = el("form", { autocomplete: "off", noValidate: false }, title, ...options.content, error, buttons);
  const dialog = el("dialog", { class: "view", "aria-labelledby": title.id }, form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!options.submit || action.disabled) return;
    error.textContent = "";
    void working(action, options.submit)
      .then((done) => {
        dialog.close();
        if (done) announce(done);
      })
      .catch((reason) => { error.textContent = text(reason); });
  });
  dialog.addEventListener("close", () => {
    wipe(dialog);
    dialog.remove();
    // The button that opened it may be gone.
    if (document.activeElement === document.body) document.getElementById("main")?.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  return { dialog, action, error };
}

/**
 * Disables a button while something is done.
 *
 * @template T
 * @param {HTMLButtonElement} control
 * @param {() => Promise<T>} task
 */
export async function working(control, task) {
  const label = control.textContent;
  control.disabled = true;
  control.textContent = "Working …";
  try {
    return await task();
  } finally {
    control.disabled = false;
    control.textContent = label;
  }
}

/**
 * A text with a button that copies it.
 *
 * @param {string} label
 * @param {string} content
 */
export function copyable(label, content) {
  const done = button(`Copy ${label}`, async () => {
    try {
      await navigator.clipboard.writeText(content);
      announce("Copied.");
    } catch {
      announce("The browser does not allow copying. Select the text instead.");
    }
  });
  return el("div", {}, el("pre", { tabIndex: 0, role: "region", "aria-label": label }, content), el("p", { class: "buttons" }, done));
}

/**
 * @param {number} count
 * @param {string} one
 */
export function count(count, one) {
  return `${count} ${one}${count === 1 ? "" : "s"}`;
}
