/**
 * What must be done by the process that serves: collecting beside uploads needs to know of them. A unix socket in the registry's
 * own directory, which nobody else may enter.
 */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { GantryError, isErrno, messageOf } from "../../lib/index.ts";

/** One word a task; the answer is JSON. */
export type ControlTasks = Readonly<Record<string, (parameters: URLSearchParams) => Promise<object>>>;

const pathOf = (root: string): string => join(root, "control.sock");

/** @returns ends it */
export function openControl(root: string, tasks: ControlTasks): () => Promise<void> {
  const path = pathOf(root);
  rmSync(path, { force: true });
  // Bun would count a task that takes long as an idle connection; its types know this option for TCP only.
  const patience: object = { idleTimeout: 0 };
  const server = Bun.serve({
    ...patience,
    unix: path,
    async fetch(request) {
      const url = new URL(request.url);
      const name = url.pathname.slice(1);
      const task = Object.hasOwn(tasks, name) ? tasks[name] : undefined;
      if (task === undefined || request.method !== "POST")
        return new Response("no such task", { status: 404 });
      try {
        return Response.json(await task(url.searchParams));
      } catch (error) {
        return new Response(messageOf(error), { status: 500 });
      }
    },
  });
  return async () => {
    await server.stop(true);
    rmSync(path, { force: true });
  };
}

/** Asks the server that runs on this root; undefined: none runs. @throws {GantryError} */
export async function askControl(
  root: string,
  task: string,
  parameters: Readonly<Record<string, string>>,
): Promise<unknown> {
  const path = pathOf(root);
  if (!existsSync(path)) return undefined;
  let response: Response;
  try {
    response = await fetch(`http://control/${task}?${new URLSearchParams(parameters)}`, {
      method: "POST",
      unix: path,
    });
  } catch (error) {
    // ECONNREFUSED: a server that was killed leaves its socket. ENOENT: it has ended this moment.
    if (isErrno(error, "ECONNREFUSED") || isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
  if (!response.ok) throw new GantryError("internal", `the registry's server: ${await response.text()}`);
  return response.json();
}
