// Reads .env files with the package dotenv and as `node --env-file` does: a JSON string a line.
import { parse } from "dotenv";
import { parseEnv } from "node:util";
import { createInterface } from "node:readline";
for await (const line of createInterface({ input: process.stdin })) {
  const text = JSON.parse(line);
  console.log(JSON.stringify({ dotenv: parse(text), node: typeof parseEnv === "function" ? parseEnv(text) : null }));
}
