/** gantry build. */
import type { CommandSpec, Invocation } from "../command.ts";
import { configHeader } from "../connection/credentials.ts";
import { failureOf, jsonLines } from "../connection/json-stream.ts";
import { openContext } from "../context/open-context.ts";
import { CliError } from "../errors.ts";
import { pairsToMap } from "../flags/pairs.ts";
import { humanSize } from "../format/human.ts";
import { print, printError } from "../output.ts";
import { counted, ProgressLine, stderrIsTerminal } from "../progress.ts";
import { parseUlimits, readUlimit } from "../run/parse-ulimit.ts";
import { readAddHost, readEnv, readLabel } from "../run/read-values.ts";

export const build: CommandSpec = {
  usage: "[OPTIONS] PATH | -",
  summary: "Build an image from a Dockerfile",
  aliases: ["image build", "build"],
  examples: [
    ["gantry build -t web:1 .", "from the Dockerfile in this folder"],
    ["echo 'FROM busybox' | gantry build -t mine -", "from a Dockerfile on stdin"],
    ["tar c . | gantry build -f docker/Dockerfile -", "from an archive on stdin"],
  ],
  flags: [
    { name: "add-host", kind: "list", read: readAddHost, help: "Add a line to /etc/hosts (host:ip)" },
    { name: "build-arg", kind: "list", read: readEnv, help: "Set an ARG (NAME=value; NAME takes ours)" },
    { name: "cache-from", kind: "strings", help: "Images to use as cache" },
    { name: "cpu-period", kind: "int", help: "Length of a CPU quota period, in microseconds" },
    { name: "cpu-quota", kind: "int", help: "CPU time in each period, in microseconds" },
    { name: "cpu-shares", short: "c", kind: "int", help: "CPU shares (relative weight)" },
    { name: "cpuset-cpus", kind: "string", help: "CPUs that RUN may use (0-3, 0,1)" },
    {
      name: "file",
      short: "f",
      kind: "string",
      help: "The Dockerfile (without: PATH/Dockerfile; - for stdin)",
    },
    { name: "force-rm", kind: "bool", help: "Remove intermediate containers of a failed build too" },
    { name: "iidfile", kind: "string", help: "Write the image ID to this file" },
    { name: "label", kind: "list", read: readLabel, help: "Set a label of the image" },
    { name: "memory", short: "m", kind: "bytes", help: "Memory limit of RUN" },
    { name: "memory-swap", kind: "swap", help: "Memory and swap together; -1: unlimited swap" },
    { name: "network", kind: "string", preset: "default", help: "Network of RUN" },
    { name: "no-cache", kind: "bool", help: "Run every step anew" },
    { name: "platform", kind: "string", help: "Platform of the image" },
    { name: "pull", kind: "bool", help: "Always pull the base image" },
    { name: "quiet", short: "q", kind: "bool", help: "Print only the image ID" },
    { name: "rm", kind: "bool", preset: "true", help: "Remove intermediate containers" },
    { name: "shm-size", kind: "bytes", help: "Size of /dev/shm of RUN" },
    { name: "tag", short: "t", kind: "list", help: "Name of the image (name:tag)" },
    { name: "target", kind: "string", help: "Build up to this stage" },
    { name: "ulimit", kind: "ulimit", read: readUlimit, help: "Resource limit of RUN" },
  ],
  args: [1, 1],
  completes: "files",
  run: buildImage,
};

async function buildImage(call: Invocation): Promise<number> {
  const { flags, args, engine } = call;
  const quiet = flags.bool("quiet");
  const context = await openContext(args[0] ?? "", flags.text("file"));
  const line = new ProgressLine("Sending build context", !quiet && (await stderrIsTerminal()));
  let sent = 0;
  const response = await engine.request("POST", "/build", {
    query: buildQuery(call, context.dockerfile),
    headers: { "Content-Type": "application/x-tar", ...(await configHeader()) },
    body: () =>
      counted(context.open(), (bytes) => {
        sent = bytes;
        line.update(bytes, undefined);
      }),
  });
  await line.clear();
  if (!quiet) await print(`Sending build context to the engine  ${humanSize(sent)}\n`);
  const id = await follow(response, quiet);
  const iidfile = flags.text("iidfile");
  if (iidfile !== "") {
    if (id === "") throw new CliError(`server did not provide an image ID. Cannot write ${iidfile}`);
    await Bun.write(iidfile, id);
  }
  return 0;
}

/** Prints the build's messages; with `quiet` they are kept for the case of failure. @returns the image's ID */
async function follow(response: Response, quiet: boolean): Promise<string> {
  let id = "";
  let kept = "";
  for await (const message of jsonLines(response)) {
    const failure = failureOf(message);
    if (failure !== undefined) {
      await printError(kept);
      throw failure;
    }
    if (message.aux?.ID !== undefined) id = message.aux.ID;
    const text = message.stream ?? (message.status === undefined ? "" : `${message.status}\n`);
    if (quiet) kept = (kept + text).slice(-keptLength);
    else await print(text);
  }
  // An engine asked for quiet sends nothing but the ID.
  if (quiet) await print(id === "" ? kept : `${id}\n`);
  return id;
}

const keptLength = 1 << 20;

function buildQuery(
  { flags }: Invocation,
  dockerfile: string,
): Readonly<Record<string, string | number | boolean | readonly string[] | undefined>> {
  const number = (name: string): number | undefined => (flags.has(name) ? flags.number(name) : undefined);
  const args = flags.list("build-arg");
  return {
    dockerfile,
    t: flags.list("tag"),
    target: flags.text("target"),
    buildargs: args.length === 0 ? undefined : JSON.stringify(buildArgs(args)),
    labels: flags.has("label") ? JSON.stringify(pairsToMap(flags.list("label"))) : undefined,
    nocache: flags.bool("no-cache"),
    networkmode: flags.text("network", "default"),
    q: flags.bool("quiet"),
    rm: flags.bool("rm", true) ? true : "0",
    forcerm: flags.bool("force-rm"),
    extrahosts: flags.has("add-host") ? flags.list("add-host").join(",") : undefined,
    cachefrom: flags.has("cache-from") ? JSON.stringify(flags.list("cache-from")) : undefined,
    platform: flags.text("platform"),
    pull: flags.bool("pull"),
    memory: number("memory"),
    memswap: number("memory-swap"),
    cpuperiod: number("cpu-period"),
    cpuquota: number("cpu-quota"),
    cpushares: number("cpu-shares"),
    cpusetcpus: flags.text("cpuset-cpus"),
    shmsize: number("shm-size"),
    ulimits: flags.has("ulimit") ? JSON.stringify(parseUlimits(flags.list("ulimit"))) : undefined,
    version: "1",
  };
}

/** A name without a value, not set here either, is null: the Dockerfile's default holds. */
function buildArgs(words: readonly string[]): Readonly<Record<string, string | null>> {
  return Object.fromEntries(
    words.map((word) => [
      word.split("=")[0] ?? "",
      word.includes("=") ? word.slice(word.indexOf("=") + 1) : null,
    ]),
  );
}
