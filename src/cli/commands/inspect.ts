/** gantry inspect and the inspect of each group. */
import type { CommandSpec, Completes, Invocation } from "../command.ts";
import { type Engine, imagePath, segment } from "../connection/engine.ts";
import { CliError } from "../errors.ts";
import { objectPrinter } from "../format/objects.ts";
import { print, printError } from "../output.ts";
import { objectFormat } from "./list-flags.ts";

type Fetch = (engine: Engine, name: string, size: boolean) => Promise<unknown>;

const fetchers = {
  container: (engine, name, size) =>
    engine.json("GET", `/containers/${segment(name)}/json`, { query: { size } }),
  image: (engine, name) => engine.json("GET", `/images/${imagePath(name)}/json`),
  network: (engine, name) => engine.json("GET", `/networks/${segment(name)}`),
  volume: (engine, name) => engine.json("GET", `/volumes/${segment(name)}`),
} as const satisfies Record<string, Fetch>;

type Kind = keyof typeof fetchers;

const kinds = Object.keys(fetchers) as Kind[];

/** Prints every object found, then every complaint. */
async function inspectEach({ args, flags, engine }: Invocation, fetch: Fetch): Promise<number> {
  const printer = objectPrinter(flags.text("format"));
  const texts: string[] = [];
  const errors: CliError[] = [];
  for (const name of args) {
    try {
      texts.push(printer.one(await fetch(engine, name, flags.bool("size"))));
    } catch (error) {
      if (!(error instanceof CliError)) throw error;
      errors.push(error);
    }
  }
  const isList = flags.text("format") === "" || flags.text("format") === "json";
  if (texts.length > 0 || isList) await print(printer.join(texts));
  for (const error of errors) {
    const hint = error.hint === undefined ? "" : `hint: ${error.hint}\n`;
    await printError(`${error.bare ? "" : "gantry: "}${error.message}\n${hint}`);
  }
  return errors.length === 0 ? 0 : (errors.at(-1)?.exitCode ?? 1);
}

export const inspect: CommandSpec = {
  usage: "[OPTIONS] NAME|ID [NAME|ID...]",
  summary: "Return low-level information on Gantry objects",
  examples: [["gantry inspect -f '{{.State.Pid}}' web", "one field"]],
  flags: [
    objectFormat,
    { name: "size", short: "s", kind: "bool", help: "Print sizes of containers" },
    { name: "type", kind: "string", help: "Look only for this type (container, image, network, volume)" },
  ],
  args: [1, Infinity],
  completes: "containers",
  async run(call) {
    const type = call.flags.text("type");
    const kind = kinds.find((name) => name === type);
    if (type !== "" && kind === undefined) {
      throw new CliError(
        `unknown type: ${JSON.stringify(type)}: must be one of ${kinds.map((name) => JSON.stringify(name)).join(", ")}`,
        { bare: true },
      );
    }
    return inspectEach(call, kind === undefined ? fetchAny : fetchers[kind]);
  },
};

async function fetchAny(engine: Engine, name: string, size: boolean): Promise<unknown> {
  for (const kind of kinds) {
    try {
      return await fetchers[kind](engine, name, size);
    } catch (error) {
      if (!(error instanceof CliError) || error.status !== 404) throw error;
    }
  }
  throw new CliError(`no such object: ${name}`, {
    hint: "see: gantry ps -a, gantry images, gantry network ls, gantry volume ls",
  });
}

function inspectKind(kind: Kind, completes: Completes): CommandSpec {
  const word = kind.toUpperCase();
  return {
    usage: `[OPTIONS] ${word} [${word}...]`,
    summary: `Display detailed information on one or more ${kind}s`,
    flags:
      kind === "container"
        ? [objectFormat, { name: "size", short: "s", kind: "bool", help: "Print sizes" }]
        : [objectFormat],
    args: [1, Infinity],
    completes,
    run: (call) => inspectEach(call, fetchers[kind]),
  };
}

export const inspectContainers = inspectKind("container", "containers");
const images = inspectKind("image", "images");

export const inspectImages: CommandSpec = {
  ...images,
  examples: [["gantry image inspect --remote debian:12", "what the registry has, without pulling"]],
  flags: [
    ...images.flags,
    { name: "creds", kind: "string", help: "With --remote: USER:PASSWORD for the registry" },
    { name: "insecure", kind: "bool", help: "With --remote: neither demand TLS nor check certificates" },
    { name: "raw", kind: "bool", help: "With --remote: print the manifest's bytes" },
    { name: "remote", kind: "bool", help: "Ask the image's registry, not the engine" },
  ],
  async run(call) {
    if (!call.flags.bool("remote")) return images.run(call);
    return (await import("./image-remote.ts")).inspectRemote(call);
  },
};
export const inspectNetworks = inspectKind("network", "networks");
export const inspectVolumes = inspectKind("volume", "volumes");
