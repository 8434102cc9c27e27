/**
 * The API. The token lives in this module, and in sessionStorage if the user asks for it.
 *
 * @typedef {{id: number, userName: string, email: string}} User
 * @typedef {"owner" | "admin" | "maintain" | "launch" | "connect" | "view"} Role
 * @typedef {{orgId: number, orgName: string, workspaceId: number | null, workspaceName: string | null,
 *   workspaceFullName: string | null, roles: string[]}} Row
 * @typedef {{id: number, userName: string | null}} Author
 * @typedef {{id: number, name: string, description?: string, expires?: string, lastUsed: string | null,
 *   dateCreated: string, lastUpdated: string, author?: Author}} Secret
 * @typedef {{version: number, author: Author, dateWritten: string, dateReplaced: string | null}} Version
 * @typedef {{name: string, secretId: number, outcome: "created" | "updated"}} Imported
 * @typedef {{name: string, owner: "user" | "workspace", secretId: number, version: number,
 *   overrides: number | boolean | null, expires?: string}} Given
 * @typedef {{platform: string, layout: string | null, copies: number, secrets: Given[], warnings: string[],
 *   computeEnv?: RunEnvironment}} Preview
 * @typedef {{result: string, exitStatus: number | null, reportedBy: string, cancelledBy: number | null,
 *   copiesLeft?: string[]}} Outcome
 * @typedef {{workflowId: string, state: string, userId: number, platform: string, layout: string | null,
 *   dateLaunched: string, dateDelivered: string | null, dateEnding: string | null, dateRemoved: string | null,
 *   leaseUntil: string | null, headJob: {jobId: string, jobQueue: string, region: string} | null,
 *   outcome: Outcome | null, secrets: Given[], copies: string[], computeEnv?: RunEnvironment}} Run
 * @typedef {{id: string, accountId: string, region: string}} RunEnvironment
 * @typedef {{id: string, name: string, region: string, credentialsId: string, status: "AVAILABLE" | "INVALID",
 *   message: string | null}} Environment
 * @typedef {{id: string, name: string, keys: {assumeRoleArn: string, externalId: string}}} EnvironmentRole
 * @typedef {{memberId: number, userName: string, email: string, wspRole: Role}} Participant
 * @typedef {{id: number, name: string, dateCreated: string, expires?: string, lastUsed: string | null,
 *   scope: "all" | "read" | "launch", workspaceId: number | null}} Token
 * @typedef {{date: string, id: string, action: string, actor: number | null, run: string | null,
 *   person: number | null, detail: string | null, subjects: {name: string, version: number}[]}} Event
 */

/**
 * @typedef {{issuer: string, signIn: {authorize: string, token: string, namesIssuer: boolean,
 *   parameters: [string, string][]} | null}} Provider An OpenID Connect provider; `signIn` is null if it does not answer.
 * @typedef {{issuer: string, state: string, verifier: string, view: string}} Pending A sign-in that was started.
 */

const STORED = "pipeline-secrets-token";
const PENDING = "pipeline-secrets-sign-in";
const TIMEOUT = 35_000; // ms; API Gateway answers within 30 s

let token = sessionStorage.getItem(STORED) ?? "";
/** @type {(reason: string) => void} */
let onRefused = () => {};

/** An answer that is not a success. Status 0: no answer. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The base address of the API, without a slash at the end. */
export const endpoint = new URL(".", location.href).href.replace(/\/$/, "");

/** @param {(reason: string) => void} listener Is called when the service refuses the token. */
export function whenRefused(listener) {
  onRefused = listener;
}

export function hasToken() {
  return token !== "";
}

/**
 * @param {string} given
 * @param {boolean} remember Whether to keep it for a reload of this tab.
 */
export function setToken(given, remember) {
  token = given;
  if (remember) sessionStorage.setItem(STORED, given);
  else sessionStorage.removeItem(STORED);
}

export function forgetToken() {
  token = "";
  sessionStorage.removeItem(STORED);
}

/** @type {Provider[]} */
export const providers = JSON.parse(/** @type {HTMLMetaElement} */ (document.querySelector("meta[name=providers]")).content);

/** What a provider sent back in the address, which it leaves at once. */
const returned = new URLSearchParams(location.search);
if (location.search !== "") history.replaceState(null, "", location.pathname + location.hash);

/** @param {Uint8Array} bytes */
function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function random() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

/**
 * Leaves the page for the provider's sign-in: an authorization code with PKCE (RFC 7636). This tab
 * keeps the verifier until the provider sends the user back.
 *
 * @param {Provider} provider
 */
export async function startSignIn({ issuer, signIn }) {
  if (signIn === null) return;
  /** @type {Pending} */
  const pending = { issuer, state: random(), verifier: random(), view: location.hash };
  const challenge = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(pending.verifier));
  const address = new URL(signIn.authorize);
  for (const [name, value] of [...signIn.parameters, ["response_type", "code"], ["redirect_uri", `${endpoint}/console`],
    ["state", pending.state], ["code_challenge", base64url(new Uint8Array(challenge))], ["code_challenge_method", "S256"]]) {
    address.searchParams.set(/** @type {string} */ (name), /** @type {string} */ (value));
  }
  sessionStorage.setItem(PENDING, JSON.stringify(pending));
  location.assign(address);
}

/** Ends a sign-in, if the provider has sent the user back: the page then has an access token. */
export async function finishSignIn() {
  const stored = sessionStorage.getItem(PENDING);
  sessionStorage.removeItem(PENDING);
  if (!returned.has("state")) return;
  /** @type {Pending | null} */
  const pending = stored === null ? null : JSON.parse(stored);
  if (pending === null || returned.get("state") !== pending.state) {
    throw new ApiError(0, "This sign-in was not started in this tab, or another one was started after it. Sign in again.");
  }
  history.replaceState(null, "", location.pathname + pending.view);
  const signIn = providers.find((one) => one.issuer === pending.issuer)?.signIn;
  if (!signIn) throw new ApiError(0, "The provider does not answer. Sign in again in a minute.");
  const named = returned.get("iss");
  if (named === null ? signIn.namesIssuer : named !== pending.issuer) {
    throw new ApiError(0, "The answer to the sign-in is from another provider. Sign in again.");
  }
  const code = returned.get("code");
  if (code === null) {
    throw new ApiError(0, returned.get("error") === "access_denied"
      ? "The provider denied access: you cancelled the sign-in, or you may not use this service."
      : "The provider refused the sign-in. Sign in again. If it is refused again, ask your operators to check the client ID and the scopes.");
  }
  // RFC 8707: the resource of the token, too.
  const body = new URLSearchParams(signIn.parameters.filter(([name]) => ["client_id", "resource"].includes(name)));
  for (const [name, value] of [["grant_type", "authorization_code"], ["code", code], ["redirect_uri", `${endpoint}/console`],
    ["code_verifier", pending.verifier]]) body.set(/** @type {string} */ (name), /** @type {string} */ (value));
  let answer, data;
  try {
    answer = await fetch(signIn.token, {
      method: "POST", body, cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(TIMEOUT) });
    data = parse(await answer.text());
  } catch {
    throw new ApiError(0, "The provider cannot be reached, or does not allow this page as an origin. Sign in again.");
  }
  if (!answer.ok || typeof data?.access_token !== "string") {
    throw new ApiError(0, "The provider issued no token: its code has expired or was used before. Sign in again.");
  }
  setToken(data.access_token, false);
}

/** A new idempotency key. */
export function newKey() {
  return crypto.randomUUID();
}

/**
 * Calls the API.
 *
 * @template T
 * @param {"GET" | "POST" | "PUT" | "DELETE"} method
 * @param {string} path
 * @param {{query?: Record<string, string | number | null | undefined>, body?: unknown,
 *   raw?: {type: string, text: string}, headers?: Record<string, string>}} [options] `raw` is sent as it is.
 * @returns {Promise<{data: T, etag: string | null}>}
 */
export async function send(method, path, options = {}) {
  const url = new URL(endpoint + path);
  for (const [name, value] of Object.entries(options.query ?? {})) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, String(value));
  }
  /** @type {Record<string, string>} */
  const headers = { ...options.headers };
  /** @type {RequestInit} */
  const request = {
    method, headers, cache: "no-store", credentials: "omit", redirect: "error",
    referrerPolicy: "no-referrer", signal: AbortSignal.timeout(TIMEOUT),
  };
  const used = token;
  headers["Authorization"] = `Bearer ${used}`;
  if (options.raw !== undefined) {
    headers["Content-Type"] = options.raw.type;
    request.body = options.raw.text;
  } else if (options.body !== undefined) {
    headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(options.body);
  }
  let answer, body;
  try {
    answer = await fetch(url, request);
    body = await answer.text();
  } catch {
    throw new ApiError(0, "The service cannot be reached: the connection was lost or timed out. Check your network, then try again.");
  }
  const data = parse(body);
  if (answer.ok) return { data: /** @type {T} */ (data), etag: answer.headers.get("etag") };
  throw problem(answer, data, used);
}

/**
 * Reads data.
 *
 * @template T
 * @param {string} path
 * @param {Record<string, string | number | null | undefined>} [query]
 * @returns {Promise<T>}
 */
export async function read(path, query) {
  /** @type {{data: T}} */
  const { data } = await send("GET", path, query ? { query } : {});
  return data;
}

/** @param {string} body */
function parse(body) {
  try {
    return body === "" ? null : JSON.parse(body);
  } catch {
    return null;
  }
}

/**
 * @param {Response} answer
 * @param {any} data
 * @param {string} used The token of the request.
 */
function problem(answer, data, used) {
  const said = typeof data?.message === "string" ? data.message : `The service answered with status ${answer.status}.`;
  // The authorizer's refusal. A refusal by the service names the role that is needed.
  const refused = answer.status === 401
    || (answer.status === 403 && said === "Forbidden" && Object.keys(data).length === 1);
  if (refused) {
    const message = "The service refused the token: it is not valid, has expired, or was revoked. Sign in with another token.";
    if (used === token) {
      forgetToken();
      onRefused(message);
    }
    return new ApiError(answer.status, message);
  }
  const after = Number(answer.headers.get("retry-after"));
  const wait = after > 0 ? ` Try again in ${after} ${after === 1 ? "second" : "seconds"}.` : "";
  return new ApiError(answer.status, said + wait);
}
