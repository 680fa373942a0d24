/** gantry manifest inspect, as docker's client prints manifests. */
import { familiarName, type ImageSource, parseManifest, type RawManifest } from "../../image/index.ts";
import type { CommandSpec } from "../command.ts";
import { CliError } from "../errors.ts";
import { print } from "../output.ts";
import { readJsonBlob, type Remote, remoteFlags, withRemote } from "../remote.ts";

export const manifestInspect: CommandSpec = {
  usage: "[OPTIONS] IMAGE",
  summary: "Display an image's manifest as its registry has it",
  examples: [["gantry manifest inspect debian:12", "the list of platforms"]],
  flags: [
    ...remoteFlags,
    { name: "verbose", short: "v", kind: "bool", help: "With descriptors and platforms" },
  ],
  args: [1, 1],
  completes: "images",
  run: (call) =>
    withRemote(call, async (source, remote) => {
      const raw = await source.manifest().catch((error: unknown) => {
        throw noSuch(error, remote);
      });
      const text = call.flags.bool("verbose") ? await verbose(source, raw, remote) : plain(raw);
      await print(`${text}\n`);
      return 0;
    }),
};

function noSuch(error: unknown, { reference }: Remote): unknown {
  const isMissing = error instanceof Error && "code" in error && error.code === "not-found";
  return isMissing ? new CliError(`no such manifest: ${familiarName(reference)}`) : error;
}

const documentOf = ({ bytes }: RawManifest): object => JSON.parse(new TextDecoder().decode(bytes)) as object;

/** Docker indents lists by three spaces, and says sizes before digests. */
function plain(raw: RawManifest): string {
  const document = documentOf(raw);
  if (!("manifests" in document) || !Array.isArray(document.manifests))
    return JSON.stringify(document, null, "\t");
  const manifests = document.manifests.map(
    ({ mediaType, size, digest, ...rest }: Record<string, unknown>) => ({
      mediaType,
      size,
      digest,
      ...rest,
    }),
  );
  return JSON.stringify({ ...document, manifests }, null, 3);
}

async function verbose(source: ImageSource, raw: RawManifest, { reference }: Remote): Promise<string> {
  const name = fullName(reference);
  const manifest = parseManifest(raw.bytes, raw.mediaType);
  if (manifest.kind === "image") {
    const config = await readJsonBlob(source, manifest.config).catch(() => undefined);
    return JSON.stringify(described(name, raw, platformIn(config)), null, "\t");
  }
  const all: object[] = [];
  for (const { digest, platform } of manifest.manifests)
    all.push(described(`${name}@${digest}`, await source.manifest(digest), platform));
  return JSON.stringify(all, null, "\t");
}

function fullName({ domain, path, tag, digest }: Remote["reference"]): string {
  return `${domain}/${path}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}

function described(Ref: string, raw: RawManifest, platform: object | undefined): object {
  const { mediaType, digest, bytes } = raw;
  return {
    Ref,
    Descriptor: { mediaType, digest, size: bytes.length, ...(platform === undefined ? {} : { platform }) },
    Raw: Buffer.from(bytes).toString("base64"),
    [mediaType.includes("docker") ? "SchemaV2Manifest" : "OCIManifest"]: documentOf(raw),
  };
}

const platformKeys = ["architecture", "os", "os.version", "os.features", "variant"];

function platformIn(config: unknown): object | undefined {
  if (typeof config !== "object" || config === null) return undefined;
  const fields = new Map(Object.entries(config));
  if (!fields.has("architecture")) return undefined;
  return Object.fromEntries(platformKeys.flatMap((key) => (fields.has(key) ? [[key, fields.get(key)]] : [])));
}
