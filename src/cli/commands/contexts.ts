/** gantry context create, update, ls, inspect, rm, use, show: engines by name, the same as docker's client has. */
import { DockerConfig } from "../../distribution/index.ts";
import type { CommandSpec, Globals } from "../command.ts";
import { withCliErrors } from "../connection/credentials.ts";
import { chooseHost, defaultContext } from "../endpoint/choose-host.ts";
import { type ContextMeta, ContextStore } from "../endpoint/context-store.ts";
import { endpointOfContext, endpointOfOption, type EndpointWithTls } from "../endpoint/docker-option.ts";
import { currentContextName } from "../endpoint/open-endpoint.ts";
import { CliError } from "../errors.ts";
import { formatListing } from "../format/listing.ts";
import { objectPrinter } from "../format/objects.ts";
import { print, printError } from "../output.ts";
import { Row } from "../template/value.ts";
import { each } from "./each.ts";
import { force, listFormat, objectFormat } from "./list-flags.ts";

const dockerFlag = {
  name: "docker",
  kind: "string",
  help: "The engine: host=…,ca=…,cert=…,key=…,skip-tls-verify=… or from=CONTEXT",
} as const;
const descriptionFlag = { name: "description", kind: "string", help: "Description of the context" } as const;
const quiet = { name: "quiet", short: "q", kind: "bool", help: "Print names only" } as const;

const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$/;

/** @throws {CliError} for a name that cannot be a context's, or is taken */
export function checkNewContext(name: string, store: ContextStore): void {
  if (name === defaultContext) throw new CliError('"default" is a reserved context name', { bare: true });
  if (!namePattern.test(name)) {
    throw new CliError(
      `context name ${JSON.stringify(name)} is invalid, names are validated against regexp "${namePattern.source}"`,
      { bare: true },
    );
  }
  if (store.has(name)) throw new CliError(`context ${JSON.stringify(name)} already exists`, { bare: true });
}

export const createContext: CommandSpec = {
  usage: "[OPTIONS] CONTEXT",
  summary: "Create a context",
  about:
    "A context names an engine. Docker's client has the same contexts, kept in its configuration directory.",
  examples: [
    ["gantry context create shop --docker host=ssh://root@shop.example", "an engine behind ssh"],
    [
      "gantry context create lab --docker host=tcp://lab:2376,ca=ca.pem,cert=cert.pem,key=key.pem",
      "one behind mutual TLS",
    ],
  ],
  flags: [
    descriptionFlag,
    dockerFlag,
    { name: "from", kind: "string", help: "Copy the engine of another context" },
  ],
  args: [1, 1],
  completes: "none",
  async run({ args: [name = ""], flags, globals }) {
    const store = await ContextStore.open();
    checkNewContext(name, store);
    const { endpoint, tls } = await endpointFor(flags.text("docker"), flags.text("from"), store, globals);
    const from = flags.text("from");
    const copied = from === "" || from === defaultContext ? undefined : store.read(from);
    const description = flags.text("description", copied?.Metadata.Description ?? "");
    store.write(
      {
        Name: name,
        Metadata: { ...copied?.Metadata, ...(description === "" ? {} : { Description: description }) },
        Endpoints: { docker: endpoint },
      },
      tls,
    );
    await print(`${name}\n`);
    await printError(`Successfully created context ${JSON.stringify(name)}\n`);
    return 0;
  },
};

/** Without --docker and --from: what holds now. */
async function endpointFor(
  docker: string,
  from: string,
  store: ContextStore,
  globals: Globals,
): Promise<EndpointWithTls> {
  if (docker !== "" && from !== "")
    throw new CliError("cannot use --docker flag when --from is set", { bare: true });
  if (docker !== "") return endpointOfOption(docker, store);
  if (from !== "" && from !== defaultContext) return endpointOfContext(from, store);
  return { endpoint: { Host: await defaultHost(globals), SkipTLSVerify: false }, tls: {} };
}

/** What the default context stands for. */
async function defaultHost({ state }: Pick<Globals, "state">): Promise<string> {
  const chosen = await chooseHost(
    { host: "", context: defaultContext, stateGiven: false, env: process.env },
    async () => "",
  );
  return chosen.from === "host" ? chosen.text : `unix://${state}/engine.sock`;
}

export const updateContext: CommandSpec = {
  usage: "[OPTIONS] CONTEXT",
  summary: "Update a context",
  flags: [descriptionFlag, dockerFlag],
  args: [1, 1],
  completes: "contexts",
  async run({ args: [name = ""], flags }) {
    const store = await ContextStore.open();
    const meta = store.read(name);
    const docker = flags.text("docker");
    const changed = docker === "" ? undefined : endpointOfOption(docker, store);
    const Metadata = flags.has("description")
      ? { ...meta.Metadata, Description: flags.text("description") }
      : meta.Metadata;
    const Endpoints =
      changed === undefined ? meta.Endpoints : { ...meta.Endpoints, docker: changed.endpoint };
    store.write({ ...meta, Metadata, Endpoints }, changed?.tls ?? store.readTls(name));
    await print(`${name}\n`);
    await printError(`Successfully updated context ${JSON.stringify(name)}\n`);
    return 0;
  },
};

export const listContexts: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "List contexts",
  aliases: ["context ls", "context list"],
  flags: [listFormat, quiet],
  args: [0, 0],
  async run({ flags, globals }) {
    const current = await currentContextName(globals);
    const rows = [await defaultMeta(globals), ...(await ContextStore.open()).list()]
      .toSorted((a, b) => (a.Name < b.Name ? -1 : 1))
      .map((meta) => contextRow(meta, current));
    const known = rows.some(({ isCurrent }) => isCurrent);
    await print(
      formatListing({
        format: flags.text("format"),
        quiet: flags.bool("quiet"),
        table: "{{.Name}}{{if .Current}} *{{end}}\t{{.Description}}\t{{.DockerEndpoint}}\t{{.Error}}",
        quietField: "Name",
        headers: {
          Name: "NAME",
          Current: false,
          Description: "DESCRIPTION",
          DockerEndpoint: "DOCKER ENDPOINT",
          Error: "ERROR",
        },
        rows: rows.map(({ row }) => row),
      }),
    );
    if (!known) await printError(`Warning: the current context ${JSON.stringify(current)} does not exist\n`);
    const overriding = overridingVariable();
    if (overriding !== undefined && !flags.bool("quiet"))
      await printError(
        `Warning: ${overriding} environment variable overrides the active context. To use a context, either set the global --context flag, or unset ${overriding} environment variable.\n`,
      );
    return 0;
  },
};

function overridingVariable(): string | undefined {
  return ["GANTRY_HOST", "DOCKER_HOST"].find((name) => (process.env[name] ?? "") !== "");
}

async function defaultMeta(globals: Globals): Promise<ContextMeta> {
  return {
    Name: defaultContext,
    Metadata: { Description: "Current DOCKER_HOST based configuration" },
    Endpoints: { docker: { Host: await defaultHost(globals), SkipTLSVerify: false } },
  };
}

function contextRow(meta: ContextMeta, current: string): { readonly row: Row; readonly isCurrent: boolean } {
  const isCurrent = meta.Name === current;
  const row = new Row("*formatter.clientContextContext", {
    Current: isCurrent,
    Description: meta.Metadata.Description ?? "",
    DockerEndpoint: meta.Endpoints.docker?.Host ?? "",
    Error: "",
    Name: meta.Name,
  });
  return { row, isCurrent };
}

export const inspectContexts: CommandSpec = {
  usage: "[OPTIONS] [CONTEXT] [CONTEXT...]",
  summary: "Display detailed information on one or more contexts",
  flags: [objectFormat],
  args: [0, Infinity],
  completes: "contexts",
  async run({ args, flags, globals }) {
    const store = await ContextStore.open();
    const printer = objectPrinter(flags.text("format"));
    const names = args.length === 0 ? [await currentContextName(globals)] : args;
    const texts: string[] = [];
    for (const name of names) texts.push(printer.one(await inspected(name, store, globals)));
    await print(printer.join(texts));
    return 0;
  },
};

async function inspected(name: string, store: ContextStore, globals: Globals): Promise<object> {
  if (name === defaultContext) {
    const { Endpoints } = await defaultMeta(globals);
    return {
      Name: name,
      Metadata: {},
      Endpoints,
      TLSMaterial: {},
      Storage: { MetadataPath: "<IN MEMORY>", TLSPath: "<IN MEMORY>" },
    };
  }
  const meta = store.read(name);
  const files = Object.keys(store.readTls(name));
  return {
    ...meta,
    TLSMaterial: files.length === 0 ? {} : { docker: files },
    Storage: { MetadataPath: store.metaDirectory(name), TLSPath: store.tlsDirectory(name) },
  };
}

export const removeContexts: CommandSpec = {
  usage: "CONTEXT [CONTEXT...]",
  summary: "Remove one or more contexts",
  aliases: ["context rm", "context remove"],
  flags: [{ ...force, help: "Force the removal of a context in use" }],
  args: [1, Infinity],
  completes: "contexts",
  async run({ args, flags, globals }) {
    const store = await ContextStore.open();
    return each(args, async (name) => {
      if (name === defaultContext) throw new CliError('context "default" cannot be removed');
      const isCurrent = name === (await currentContextName(globals));
      if (isCurrent && !flags.bool("force"))
        throw new CliError(`context ${JSON.stringify(name)} is in use, set -f flag to force remove`);
      if (!store.has(name) && !flags.bool("force"))
        throw new CliError(`context ${JSON.stringify(name)} does not exist`);
      if (isCurrent) await setCurrent(undefined);
      store.remove(name);
      return name;
    });
  },
};

export const useContext: CommandSpec = {
  usage: "CONTEXT",
  summary: "Set the current context",
  flags: [],
  args: [1, 1],
  completes: "contexts",
  async run({ args: [name = ""] }) {
    if (name !== defaultContext) (await ContextStore.open()).read(name);
    await setCurrent(name === defaultContext ? undefined : name);
    await print(`${name}\n`);
    await printError(`Current context is now ${JSON.stringify(name)}\n`);
    const overriding = overridingVariable();
    if (overriding !== undefined && name !== defaultContext)
      await printError(
        `Warning: ${overriding} environment variable overrides the active context. To use ${JSON.stringify(name)}, either set the global --context flag, or unset ${overriding} environment variable.\n`,
      );
    return 0;
  },
};

const setCurrent = (name: string | undefined): Promise<void> =>
  withCliErrors(async () => new DockerConfig().setCurrentContext(name));

export const showContext: CommandSpec = {
  usage: "",
  summary: "Print the name of the current context",
  flags: [],
  args: [0, 0],
  async run({ globals }) {
    await print(`${await currentContextName(globals)}\n`);
    return 0;
  },
};
