/** gantry image copy: from anywhere to anywhere, without an engine (skopeo's copy). */
import {
  copyImage,
  type CopyEvent,
  openSource,
  openTarget,
  parseEndpointName,
} from "../../distribution/index.ts";
import { parsePlatform } from "../../image/index.ts";
import { digestHex } from "../../lib/index.ts";
import type { CommandSpec, Invocation } from "../command.ts";
import { withCliErrors } from "../connection/credentials.ts";
import { CliError } from "../errors.ts";
import { print, printError } from "../output.ts";
import { authFor, hostOfEndpoint, registriesFor } from "../remote.ts";
import { isTerminal } from "../session/terminal.ts";
import { LiveLines, PlainLines } from "../transfer-lines.ts";

export const copy: CommandSpec = {
  usage: "[OPTIONS] SOURCE DESTINATION",
  summary: "Copy an image between registries, layouts and archives, bit for bit",
  about:
    "Places are docker://IMAGE (a registry), oci:DIRECTORY[:TAG], oci-archive:FILE[:TAG] and docker-archive:FILE[:IMAGE].\nNo engine is needed. Of an image for several platforms this machine's is copied, or with --all the whole.",
  examples: [
    ["gantry image copy docker://debian:12 oci:/media/stick/images:debian-12", "onto a stick"],
    [
      "gantry image copy oci:/media/stick/images:debian-12 docker://registry.lan:5000/debian:12",
      "and from it",
    ],
    ["gantry image copy --all docker://docker.io/library/alpine docker://mirror.lan/alpine", "all platforms"],
  ],
  flags: [
    { name: "all", short: "a", kind: "bool", help: "The image for all platforms" },
    { name: "dest-creds", kind: "string", help: "USER:PASSWORD for the destination" },
    { name: "dest-tls-verify", kind: "bool", preset: "true", help: "Demand TLS of the destination" },
    { name: "jobs", kind: "int", preset: "4", help: "Blobs to copy at once" },
    { name: "platform", kind: "string", help: "Copy this platform's image (linux/arm64)" },
    { name: "quiet", short: "q", kind: "bool", help: "Print only the digest" },
    { name: "referrers", kind: "bool", help: "Also what refers to it: signatures, attestations" },
    { name: "src-creds", kind: "string", help: "USER:PASSWORD for the source" },
    { name: "src-tls-verify", kind: "bool", preset: "true", help: "Demand TLS of the source" },
  ],
  args: [2, 2],
  completes: "files",
  run: (call) => withCliErrors(() => run(call)),
};

async function run({ flags, args: [from = "", to = ""] }: Invocation): Promise<number> {
  const [fromName, toName] = [parseEndpointName(from), parseEndpointName(to)];
  const platform = flags.text("platform");
  if (flags.bool("all") && platform !== "") throw new CliError("--all and --platform exclude each other");
  const jobs = Number(flags.text("jobs", "4"));
  if (!(jobs >= 1 && jobs <= 32)) throw new CliError("--jobs must be from 1 to 32");
  const insecure = [
    ...(flags.bool("src-tls-verify", true) ? [] : [hostOfEndpoint(fromName)]),
    ...(flags.bool("dest-tls-verify", true) ? [] : [hostOfEndpoint(toName)]),
  ].filter((host) => host !== "");
  const registries = registriesFor(insecure);
  const auth = (host: string, creds: string) => (host === "" ? undefined : authFor(host, creds));
  await using source = await openSource(
    fromName,
    registries,
    await auth(hostOfEndpoint(fromName), flags.text("src-creds")),
  );
  const { target, tag } = await openTarget(
    toName,
    registries,
    await auth(hostOfEndpoint(toName), flags.text("dest-creds")),
  );
  const quiet = flags.bool("quiet");
  const lines = isTerminal(2) ? new LiveLines() : new PlainLines();
  const manifest = await (async () => {
    await using _closed = target;
    return copyImage({
      source,
      target,
      tag,
      all: flags.bool("all"),
      referrers: flags.bool("referrers"),
      jobs,
      ...(platform === "" ? {} : { platform: parsePlatform(platform) }),
      onProgress: (event) => {
        if (!quiet) void printError(lines.show(messageOf(event)));
      },
    });
  })();
  await print(`${manifest.digest}\n`);
  return 0;
}

const words: Readonly<Record<CopyEvent["status"], string>> = {
  waiting: "Waiting",
  copying: "Copying",
  exists: "Already there",
  mounted: "Mounted",
  done: "Copied",
};

function messageOf({ blob, status, current }: CopyEvent) {
  const isStep = status === "copying" && current !== undefined;
  return {
    id: digestHex(blob.digest).slice(0, 12),
    // "Pushing" is a step that plain output leaves out.
    status: isStep ? "Pushing" : words[status],
    progressDetail: isStep ? { current, total: blob.size } : {},
  };
}
