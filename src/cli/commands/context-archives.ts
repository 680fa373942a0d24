/** gantry context export, import. */
import { readFileSync, writeFileSync } from "node:fs";
import type { CommandSpec } from "../command.ts";
import { packContext, unpackContext } from "../endpoint/context-archive.ts";
import { ContextStore } from "../endpoint/context-store.ts";
import { CliError, hasErrno } from "../errors.ts";
import { print, printError } from "../output.ts";
import { checkNewContext } from "./contexts.ts";

export const exportContext: CommandSpec = {
  usage: "CONTEXT [FILE|-]",
  summary: "Export a context to a tar archive FILE or a tar stream on STDOUT",
  about: "The archive holds the key of the client where the context has one: keep it as you keep that.",
  flags: [],
  args: [1, 2],
  completes: "contexts",
  async run({ args: [name = "", file = `${name}.dockercontext`] }) {
    const store = await ContextStore.open();
    const bytes = packContext(store.read(name), store.readTls(name));
    if (file === "-") {
      if (process.stdout.isTTY)
        throw new CliError("cowardly refusing to export to a terminal, specify a file path", { bare: true });
      await print(bytes);
      return 0;
    }
    try {
      writeFileSync(file, bytes, { flag: "wx", mode: 0o600 });
    } catch (error) {
      if (!hasErrno(error, "EEXIST")) throw error;
      throw new CliError(`open ${file}: file exists`, { bare: true });
    }
    await printError(`Written file ${JSON.stringify(file)}\n`);
    return 0;
  },
};

export const importContext: CommandSpec = {
  usage: "CONTEXT FILE|-",
  summary: "Import a context from a tar file",
  flags: [],
  args: [2, 2],
  completes: "files",
  async run({ args: [name = "", file = ""] }) {
    const store = await ContextStore.open();
    checkNewContext(name, store);
    const bytes =
      file === "-"
        ? new Uint8Array(await new Response(Bun.stdin.stream()).arrayBuffer())
        : readFileSync(file);
    const { meta, tls } = unpackContext(bytes);
    store.write({ ...meta, Name: name }, tls);
    await print(`${name}\n`);
    await printError(`Successfully imported context ${JSON.stringify(name)}\n`);
    return 0;
  },
};
