/** gantry image tags, referrers, delete and inspect --remote: what a registry has, asked by the client itself. */
import { formatPlatform, parseManifest } from "../../image/index.ts";
import type { CommandSpec, Invocation } from "../command.ts";
import { CliError } from "../errors.ts";
import { humanSize } from "../format/human.ts";
import { formatListing } from "../format/listing.ts";
import { print, printError } from "../output.ts";
import { remoteFlags, remoteOf, withRemote } from "../remote.ts";
import { withCliErrors } from "../connection/credentials.ts";
import { Row } from "../template/value.ts";
import { listFormat } from "./list-flags.ts";

export const tags: CommandSpec = {
  usage: "[OPTIONS] REPOSITORY",
  summary: "List the tags that a repository has in its registry",
  examples: [["gantry image tags registry.example.com/team/app", "one a line"]],
  flags: remoteFlags,
  args: [1, 1],
  completes: "none",
  run: (call) =>
    withRemote(call, async (source) => {
      const list = await source.tags();
      await print(list.map((tag) => `${tag}\n`).join(""));
      return 0;
    }),
};

const quietFlag = { name: "quiet", short: "q", kind: "bool", help: "Print digests only" } as const;

export const referrers: CommandSpec = {
  usage: "[OPTIONS] IMAGE",
  summary: "List what refers to an image in its registry: signatures, attestations, SBOMs",
  examples: [["gantry image referrers registry.example.com/team/app:1", "a table"]],
  flags: [
    { name: "artifact-type", kind: "string", help: "Only of this type" },
    ...remoteFlags,
    listFormat,
    quietFlag,
  ],
  args: [1, 1],
  completes: "none",
  run: (call) =>
    withRemote(call, async (source) => {
      const { flags } = call;
      const type = flags.text("artifact-type");
      const { digest } = await source.manifest();
      const found = await source.referrers(digest, type === "" ? undefined : type);
      const rows = found.map(
        (item) =>
          new Row("*formatter.referrerContext", {
            Digest: item.digest,
            ArtifactType: item.artifactType ?? "",
            MediaType: item.mediaType,
            Size: humanSize(item.size),
          }),
      );
      await print(
        formatListing({
          format: flags.text("format"),
          quiet: flags.bool("quiet"),
          table: "{{.Digest}}\t{{.ArtifactType}}\t{{.Size}}",
          quietField: "Digest",
          headers: { Digest: "DIGEST", ArtifactType: "ARTIFACT TYPE", MediaType: "MEDIA TYPE", Size: "SIZE" },
          rows,
        }),
      );
      return 0;
    }),
};

export const deleteRemote: CommandSpec = {
  usage: "[OPTIONS] IMAGE",
  summary: "Delete an image in its registry",
  about:
    "The manifest goes, and with it all tags that mean it; with --tag only the tag. The registry must allow deletion.",
  examples: [["gantry image delete --tag registry.example.com/team/app:old", "the tag alone"]],
  flags: [...remoteFlags, { name: "tag", kind: "bool", help: "Take away the tag, not the image" }],
  args: [1, 1],
  completes: "none",
  run: (call) =>
    withCliErrors(async () => {
      const { reference, registries, auth } = await remoteOf(call);
      await registries.delete(reference, auth, call.flags.bool("tag"));
      await print(`Deleted: ${call.args[0]}\n`);
      return 0;
    }),
};

/** `image inspect --remote`: what a registry has, without pulling. */
export async function inspectRemote(call: Invocation): Promise<number> {
  const { flags } = call;
  return withRemote(call, async (source, { reference }) => {
    if (call.args.length !== 1) throw new CliError("--remote takes one image");
    const raw = await source.manifest();
    if (flags.bool("raw")) {
      await print(raw.bytes);
      return 0;
    }
    const manifest = parseManifest(raw.bytes, raw.mediaType);
    const platforms =
      manifest.kind === "index"
        ? manifest.manifests.map(({ digest, size, platform }) => ({
            Digest: digest,
            Size: size,
            Platform: platform === undefined ? "" : formatPlatform(platform),
          }))
        : undefined;
    const { readJsonBlob } = await import("../remote.ts");
    const config =
      manifest.kind === "image" && /config|image\.v1\+json/.test(manifest.config.mediaType)
        ? await readJsonBlob(source, manifest.config)
        : undefined;
    const tagList = await source.tags().catch(async (error: unknown) => {
      await printError(
        `gantry: the tags cannot be listed: ${error instanceof Error ? error.message : String(error)}\n`,
      );
      return [];
    });
    const shown = {
      Name: `${reference.domain}/${reference.path}`,
      Digest: raw.digest,
      MediaType: raw.mediaType,
      Tags: tagList,
      ...(platforms === undefined ? {} : { Platforms: platforms }),
      ...(manifest.kind === "image" ? { Layers: manifest.layers, Config: config } : {}),
    };
    await print(`${JSON.stringify(shown, null, 4)}\n`);
    return 0;
  });
}
