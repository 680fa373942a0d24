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
  readonly pull: string;
}

/** Parses and checks what can be checked before the engine is asked. */
async function prepare({ flags, args }: Invocation): Promise<Prepared> {
  const pull = flags.text("pull", "missing");
  if (!["always", "missing", "never"].includes(pull)) {
    throw new CliError(`invalid pull option: '${pull}': must be one of "always", "missing" or "never"`);
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
  return { name: flags.text("name"), body, cidfile, pull };
}

/**
 * Runs `attempt`; an image that is not here is pulled, and it is tried once more. As docker's client does it, the engine never
 * pulls by itself: the credentials are the client's.
 */
async function withImage<T>(call: Invocation, pull: string, attempt: () => Promise<T>): Promise<T> {
  const {
    args: [image = ""],
    flags,
    engine,
  } = call;
  const fetch = async (): Promise<void> => {
    const { pullImage } = await import("../commands/pull.ts");
    const { familiarName, parseReference, withDefaultTag } = await import("../../image/index.ts");
    const name = familiarName(withDefaultTag(parseReference(image)));
    await pullImage(engine, name, {
      quiet: flags.bool("quiet"),
      platform: flags.text("platform"),
      errors: true,
    });
  };
  if (pull === "always") await fetch();
  try {
    return await attempt();
  } catch (error) {
    const isMissing = error instanceof CliError && error.message.startsWith("No such image: ");
    if (!isMissing || pull !== "missing" || isId(image)) throw error;
    if (!flags.bool("quiet"))
      await printError(`Unable to find image '${error.message.slice("No such image: ".length)}' locally\n`);
    await fetch();
    return attempt();
  }
}

/** Ids are no names that a registry knows. */
const isId = (image: string): boolean => /^(?:sha256:)?[0-9a-f]{64}$/.test(image);

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
  const { name, body, cidfile, pull } = await prepare(call);
  if (body.Tty && body.AttachStdin && !(await import("../session/terminal.ts")).isTerminal(0)) {
    throw new CliError("the input device is not a TTY", { bare: true, exitCode: 1 });
  }
  const quiet = cidfile === "";
  const session = {
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
    onCreated: (created: { readonly id: string; readonly warnings: readonly string[] }) => {
      if (detach) return tellCreated(created, cidfile).then(() => print(`${created.id}\n`));
      return quiet && created.warnings.length === 0 ? undefined : tellCreated(created, cidfile);
    },
  };
  const result = await withImage(call, pull, () => joinSession(call.engine, session));
  return result.exitCode;
}

/** gantry create: prints the new container's id. */
export async function createContainer(call: Invocation): Promise<number> {
  const { name, body, cidfile, pull } = await prepare(call);
  const platform = call.flags.text("platform");
  const created = await withImage(call, pull, () =>
    call.engine.json<{ Id: string; Warnings?: string[] | null }>("POST", "/containers/create", {
      query: { name, platform },
      json: body,
    }),
  );
  await tellCreated({ id: created.Id, warnings: created.Warnings ?? [] }, cidfile);
  await print(`${created.Id}\n`);
  return 0;
}
