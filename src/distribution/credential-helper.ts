/** Programs that keep secrets, `docker-credential-NAME` (docker-credential-helpers' protocol over stdio). */
import { GantryError } from "../lib/index.ts";
import { printable } from "./printable.ts";

export interface StoredSecret {
  readonly username: string;
  readonly secret: string;
}

export interface CredentialHelper {
  /** undefined: it has none. */
  get(server: string): Promise<StoredSecret | undefined>;
  store(server: string, secret: StoredSecret): Promise<void>;
  erase(server: string): Promise<void>;
  /** Servers it has secrets of. */
  list(): Promise<readonly string[]>;
}

const limitMs = 30_000;
const maxBytes = 1 << 20;
/** What an ended helper has written is read within. */
const graceMs = 500;

/** @param name what stands in `credsStore` or `credHelpers` */
export function credentialHelper(name: string): CredentialHelper {
  // It becomes part of a program's name.
  if (!/^[A-Za-z0-9._-]+$/.test(name))
    throw new GantryError("invalid", `invalid credential helper ${JSON.stringify(name.slice(0, 80))}`);
  const call = (verb: string, input: string): Promise<Outcome> =>
    run(`docker-credential-${name}`, verb, input);
  const must = async (verb: string, input: string): Promise<string> => {
    const { code, output } = await call(verb, input);
    if (code === 0) return output;
    throw new GantryError(
      "unavailable",
      `docker-credential-${name} ${verb} failed: ${printable(output, 300)}`,
    );
  };
  return {
    async get(server) {
      const { code, output } = await call("get", server);
      if (code !== 0 && /credentials not found/i.test(output)) return undefined;
      if (code !== 0)
        throw new GantryError(
          "unavailable",
          `docker-credential-${name} get failed: ${printable(output, 300)}`,
        );
      const value = parsed(output, name);
      return { username: String(value["Username"] ?? ""), secret: String(value["Secret"] ?? "") };
    },
    async store(server, { username, secret }) {
      await must("store", JSON.stringify({ ServerURL: server, Username: username, Secret: secret }));
    },
    async erase(server) {
      await call("erase", server);
    },
    async list() {
      return Object.keys(parsed(await must("list", ""), name));
    },
  };
}

interface Outcome {
  readonly code: number;
  readonly output: string;
}

async function run(program: string, verb: string, input: string): Promise<Outcome> {
  const path = Bun.which(program, { PATH: process.env["PATH"] ?? "" });
  if (path === null)
    throw new GantryError(
      "not-found",
      `the credential helper ${program}, which the docker configuration names, is not installed`,
      {
        hint: "install it, or take credsStore and credHelpers out of ~/.docker/config.json",
      },
    );
  const child = Bun.spawn([path, verb], {
    stdin: Buffer.from(input),
    stdout: "pipe",
    stderr: "ignore",
    timeout: limitMs,
    killSignal: "SIGKILL",
  });
  let output = "";
  const read = async (): Promise<void> => {
    for await (const chunk of child.stdout) {
      output += Buffer.from(chunk).toString("utf8");
      if (output.length > maxBytes) return child.kill("SIGKILL");
    }
  };
  // An agent that the helper has begun may keep its output open for ever.
  const ended = child.exited.then(() => Bun.sleep(graceMs));
  await Promise.race([read(), ended]);
  const code = await child.exited;
  const isCut = child.signalCode !== null || output.length > maxBytes;
  return { code: isCut ? 1 : code, output: output.trim() };
}

function parsed(text: string, name: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // SyntaxError: told below, without the text, which may hold a secret.
  }
  throw new GantryError("unavailable", `docker-credential-${name} did not answer in JSON`);
}
