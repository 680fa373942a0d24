/** gantry pull and push: images from registries and to them, through the engine. */
import {
  familiarName,
  familiarRepository,
  parseReference,
  type Reference,
  withDefaultTag,
} from "../../image/index.ts";
import type { CommandSpec, Invocation } from "../command.ts";
import { authHeader, withCliErrors } from "../connection/credentials.ts";
import { type Engine, imagePath } from "../connection/engine.ts";
import { CliError } from "../errors.ts";
import { print } from "../output.ts";
import { showTransfer } from "../transfer-lines.ts";

const contentTrust = {
  name: "disable-content-trust",
  kind: "bool",
  preset: "true",
  help: "Skip image verification, as is usual",
  // Signatures of Notary v1 are not offered: asking for them is refused, not ignored.
  hidden: true,
} as const;

function refuseContentTrust({ flags }: Invocation): void {
  if (!flags.bool("disable-content-trust", true))
    throw new CliError("content trust (Notary v1) is not supported", {
      hint: "name the image by its digest: NAME@sha256:…",
    });
}

async function givenName(call: Invocation): Promise<Reference> {
  refuseContentTrust(call);
  const [name = ""] = call.args;
  return withCliErrors(async () => parseReference(name));
}

/** With the default tag, which is told, unless all tags are meant. @throws {CliError} when one tag and all are asked for */
async function referenceOf({ flags }: Invocation, given: Reference): Promise<Reference> {
  const isBare = given.tag === undefined && given.digest === undefined;
  if (flags.bool("all-tags")) {
    if (!isBare) throw new CliError("tag can't be used with --all-tags/-a", { bare: true });
    return given;
  }
  if (isBare && !flags.bool("quiet")) await print("Using default tag: latest\n");
  return withDefaultTag(given);
}

export const pull: CommandSpec = {
  usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
  summary: "Download an image from a registry",
  aliases: ["image pull", "pull"],
  examples: [
    ["gantry pull debian:12", "from Docker Hub, or from the mirror of it"],
    ["gantry pull registry.example.com/team/app@sha256:…", "exactly this image"],
  ],
  flags: [
    { name: "all-tags", short: "a", kind: "bool", help: "Download all tagged images in the repository" },
    contentTrust,
    {
      name: "platform",
      kind: "string",
      help: "Of an image for several platforms, take this one (linux/arm64)",
    },
    { name: "quiet", short: "q", kind: "bool", help: "Print only the image's name" },
  ],
  args: [1, 1],
  completes: "images",
  async run(call) {
    const { flags, engine } = call;
    const quiet = flags.bool("quiet");
    const reference = await referenceOf(call, await givenName(call));
    await pullImage(engine, familiarName(reference), { quiet, platform: flags.text("platform") });
    await print(`${reference.domain}/${reference.path}${suffixOf(reference)}\n`);
    return 0;
  },
};

function suffixOf({ tag, digest }: { readonly tag?: string; readonly digest?: string }): string {
  return digest === undefined ? (tag === undefined ? "" : `:${tag}`) : `@${digest}`;
}

/** @param name with its tag or digest; without either all tags are meant */
export async function pullImage(
  engine: Engine,
  name: string,
  {
    quiet,
    platform,
    errors = false,
  }: { readonly quiet: boolean; readonly platform: string; readonly errors?: boolean },
): Promise<void> {
  const reference = parseReference(name);
  const response = await engine.request("POST", "/images/create", {
    query: {
      fromImage: familiarRepository(reference),
      tag: reference.digest ?? reference.tag ?? "",
      ...(platform === "" ? {} : { platform }),
    },
    headers: await authHeader(name),
  });
  await showTransfer(response, { quiet, toErrors: errors });
}

export const push: CommandSpec = {
  usage: "[OPTIONS] NAME[:TAG]",
  summary: "Upload an image to a registry",
  aliases: ["image push", "push"],
  examples: [
    ["gantry push registry.example.com/team/app:1", "layers that the registry has are not sent"],
    ["gantry push --compression zstd localhost:5000/app", "smaller and faster, for readers of zstd"],
  ],
  flags: [
    { name: "all-tags", short: "a", kind: "bool", help: "Push all tags of the repository" },
    { name: "compression", kind: "string", help: "Of layers made here: gzip (the default), zstd or none" },
    { name: "compression-level", kind: "int", help: "gzip 1 to 9, zstd 1 to 19" },
    contentTrust,
    { name: "quiet", short: "q", kind: "bool", help: "Print only the image's name" },
  ],
  args: [1, 1],
  completes: "images",
  async run(call) {
    const { flags, args, engine } = call;
    const [name = ""] = args;
    const quiet = flags.bool("quiet");
    const given = await givenName(call);
    if (given.digest !== undefined) throw new CliError("cannot push a digest reference", { bare: true });
    const reference = await referenceOf(call, given);
    const response = await engine.request("POST", `/images/${imagePath(familiarRepository(given))}/push`, {
      query: {
        tag: reference.tag ?? "",
        ...(flags.has("compression") ? { compression: flags.text("compression") } : {}),
        ...(flags.has("compression-level") ? { compressionLevel: flags.text("compression-level") } : {}),
      },
      headers: await authHeader(name),
    });
    await showTransfer(response, { quiet });
    if (quiet) await print(`${reference.domain}/${reference.path}${suffixOf(reference)}\n`);
    return 0;
  },
};
