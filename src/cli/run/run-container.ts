/** What run and create do with the parsed flags. */
import type { Invocation } from "../command.ts";
import { CliError, hasErrno } from "../errors.ts";
import { print, printError } from "../output.ts";
import { defaultDetachKeys, parseDetachKeys } from "../session/detach-keys.ts";
import { joinSession } from "../session/joined-session.ts";
import { type CreateBody, parseCreate } from "./parse-create.ts";

interface Prepared {
  readonly name: string;
  readonly body: CreateBody;
  readonly cidfile: string;
}

/** Parses and checks what can be checked before the engine is asked. */
async function prepare({ flags, args }: Invocation): Promise<Prepared> {
  const pull = flags.text("pull", "missing");
  if (!["always", "missing", "never"].includes(pull)) {
    throw new CliError(`invalid pull option: '${pull}': must be one of "always", "missing" or "never"`);
  }
  if (pull === "always") {
    throw new CliError("--pull always: this gantry cannot pull from registries yet", {
      hint: "leave --pull out and bring the image in with: gantry load, gantry import, gantry build or gantry image bootstrap",
    });
  }
  const [image = "", ...command] = args;
  if (image === "") throw new CliError("invalid reference format", { bare: true, exitCode: 1 });
  const body = parseCreate(flags, image, command);
  const cidfile = flags.text("cidfile");
  if (cidfile !== "" && (await Bun.file(cidfile).exists())) {
    throw new CliError(
      `container ID file found, make sure the other container isn't running or delete ${cidfile}`,
    );
  }
  return { name: flags.text("name"), body, cidfile };
}

async function tellCreated(
  created: { readonly id: string; readonly warnings: readonly string[] },
  cidfile: string,
): Promise<void> {
  for (const warning of created.warnings) await printError(`WARNING: ${warning}\n`);
  if (cidfile === "") return;
  const { writeFileSync } = await import("node:fs");
  try {
    writeFileSync(cidfile, created.id, { flag: "wx", mode: 0o644 });
  } catch (error) {
    if (hasErrno(error, "EEXIST"))
      throw new CliError(
        `container ID file found, make sure the other container isn't running or delete ${cidfile}`,
      );
    throw new CliError(
      `failed to create the container ID file: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** gantry run: create, start and join in one round trip. */
export async function runContainer(call: Invocation): Promise<number> {
  const { flags } = call;
  const detach = flags.bool("detach");
  if (detach && flags.has("attach")) {
    throw new CliError("conflicting options: cannot specify both --attach and --detach", {
      bare: true,
      exitCode: 1,
    });
  }
  const { name, body, cidfile } = await prepare(call);
  if (body.Tty && body.AttachStdin && !(await import("../session/terminal.ts")).isTerminal(0)) {
    throw new CliError("the input device is not a TTY", { bare: true, exitCode: 1 });
  }
  const quiet = cidfile === "";
  const result = await joinSession(call.engine, {
    path: "/gantry/run",
    run: {
      Name: name,
      Detach: detach,
      AttachStdin: body.AttachStdin,
      AttachStdout: body.AttachStdout,
      AttachStderr: body.AttachStderr,
      Body: body,
    },
    stdin: body.AttachStdin,
    tty: body.Tty,
    detach,
    sigProxy: flags.bool("sig-proxy", true),
    detachKeys: parseDetachKeys(flags.text("detach-keys", defaultDetachKeys)),
    onCreated: (created) => {
      if (detach) return tellCreated(created, cidfile).then(() => print(`${created.id}\n`));
      return quiet && created.warnings.length === 0 ? undefined : tellCreated(created, cidfile);
    },
  });
  return result.exitCode;
}

/** gantry create: prints the new container's id. */
export async function createContainer(call: Invocation): Promise<number> {
  const { name, body, cidfile } = await prepare(call);
  const platform = call.flags.text("platform");
  const created = await call.engine.json<{ Id: string; Warnings?: string[] | null }>(
    "POST",
    "/containers/create",
    {
      query: { name, platform },
      json: body,
    },
  );
  await tellCreated({ id: created.Id, warnings: created.Warnings ?? [] }, cidfile);
  await print(`${created.Id}\n`);
  return 0;
}
