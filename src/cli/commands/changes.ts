/** gantry diff, commit, export: what a container has made of its image. */
import type { CommandSpec } from "../command.ts";
import { segment } from "../connection/engine.ts";
import { CliError } from "../errors.ts";
import { print } from "../output.ts";

interface Change {
  readonly Path: string;
  readonly Kind: number;
}

const letters = ["C", "A", "D"];

export const diff: CommandSpec = {
  usage: "CONTAINER",
  summary: "Inspect changes to files or directories on a container's filesystem",
  aliases: ["container diff", "diff"],
  flags: [],
  args: [1, 1],
  completes: "containers",
  async run({ args: [name = ""], engine }) {
    const changes = await engine.json<readonly Change[] | null>(
      "GET",
      `/containers/${segment(name)}/changes`,
    );
    await print((changes ?? []).map(({ Kind, Path }) => `${letters[Kind] ?? "?"} ${Path}\n`).join(""));
    return 0;
  },
};

export const commit: CommandSpec = {
  usage: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
  summary: "Create a new image from a container's changes",
  aliases: ["container commit", "commit"],
  examples: [["gantry commit -c 'CMD [\"serve\"]' web web:fixed", "with another command"]],
  flags: [
    {
      name: "author",
      short: "a",
      kind: "string",
      help: 'Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")',
    },
    { name: "change", short: "c", kind: "list", help: "Apply a Dockerfile instruction to the new image" },
    { name: "message", short: "m", kind: "string", help: "Commit message" },
    {
      name: "pause",
      short: "p",
      kind: "bool",
      preset: "true",
      help: "Pause the container while its files are read",
    },
  ],
  args: [1, 2],
  completes: "containers",
  async run({ args: [name = "", reference = ""], flags, engine }) {
    const { Id } = await engine.json<{ readonly Id: string }>("POST", "/commit", {
      query: {
        container: name,
        ...splitReference(reference),
        author: flags.text("author"),
        comment: flags.text("message"),
        changes: flags.list("change"),
        pause: flags.bool("pause", true) ? "1" : "0",
      },
      json: {},
    });
    await print(`${Id}\n`);
    return 0;
  },
};

/** The tag stands behind the last colon, unless that is a registry's port. */
function splitReference(reference: string): { readonly repo: string; readonly tag: string } {
  const at = reference.lastIndexOf(":");
  if (at < 0 || reference.includes("/", at)) return { repo: reference, tag: "" };
  return { repo: reference.slice(0, at), tag: reference.slice(at + 1) };
}

export const exportContainer: CommandSpec = {
  usage: "[OPTIONS] CONTAINER",
  summary: "Export a container's filesystem as a tar archive",
  aliases: ["container export", "export"],
  examples: [["gantry export web | tar t", "what is in it"]],
  flags: [{ name: "output", short: "o", kind: "string", help: "Write to a file, instead of STDOUT" }],
  args: [1, 1],
  completes: "containers",
  async run({ args: [name = ""], flags, engine }) {
    const file = flags.text("output");
    if (file === "" && process.stdout.isTTY)
      throw new CliError("cowardly refusing to save to a terminal. Use the -o flag or redirect", {
        bare: true,
      });
    const response = await engine.request("GET", `/containers/${segment(name)}/export`);
    if (file === "") for await (const piece of response.body ?? []) await print(piece);
    else await Bun.write(file, response);
    return 0;
  },
};
