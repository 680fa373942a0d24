/** gantry image copy: from anywhere to anywhere (skopeo's copy); an engine is needed only where its images are named. */
import { copyImage, type CopyEvent } from "../../distribution/index.ts";
import { parsePlatform } from "../../image/index.ts";
import { digestHex } from "../../lib/index.ts";
import type { CommandSpec, Invocation } from "../command.ts";
import { withCliErrors } from "../connection/credentials.ts";
import { CliError } from "../errors.ts";
import { print, printError } from "../output.ts";
import { hostOfPlace, openFrom, openTo, parsePlace } from "../places.ts";
import { authFor, registriesFor } from "../remote.ts";
import { linesFor } from "../transfer-lines.ts";

export const copy: CommandSpec = {
  usage: "[OPTIONS] SOURCE DESTINATION",
  summary: "Copy an image between registries, layouts and archives, bit for bit",
  about:
    "Places are docker://IMAGE (a registry), oci:DIRECTORY[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:IMAGE],\nand gantry:IMAGE or just IMAGE, which the engine has; without it no engine is needed.\nOf an image for several platforms this machine's is copied, or with --all the whole.",
  examples: [
    ["gantry image copy docker://debian:12 oci:/media/stick/images:debian-12", "onto a stick"],
    [
      "gantry image copy oci:/media/stick/images:debian-12 docker://registry.lan:5000/debian:12",
      "and from it",
    ],
    ["gantry image copy app:1 oci-archive:/tmp/app.tar:1", "what the engine has"],
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

async function run({ flags, args: [from = "", to = ""], engine }: Invocation): Promise<number> {
  const [fromPlace, toPlace] = [parsePlace(from), parsePlace(to)];
  const [fromHost, toHost] = [hostOfPlace(fromPlace), hostOfPlace(toPlace)];
  const platform = flags.text("platform");
  if (flags.bool("all") && platform !== "") throw new CliError("--all and --platform exclude each other");
  const jobs = Number(flags.text("jobs", "4"));
  if (!(jobs >= 1 && jobs <= 32)) throw new CliError("--jobs must be from 1 to 32");
  const insecure = [
    ...(flags.bool("src-tls-verify", true) ? [] : [fromHost]),
    ...(flags.bool("dest-tls-verify", true) ? [] : [toHost]),
  ].filter((host) => host !== "");
  const world = { engine, registries: registriesFor(insecure) };
  const auth = (host: string, creds: string) => (host === "" ? undefined : authFor(host, creds));
  const quiet = flags.bool("quiet");
  const lines = linesFor(2);
  await using source = await openFrom(fromPlace, world, await auth(fromHost, flags.text("src-creds")));
  const destination = await openTo(toPlace, world, await auth(toHost, flags.text("dest-creds")));
  const manifest = await destination.take(({ target, tag }) =>
    copyImage({
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
    }),
  );
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
    status: words[status],
    progressDetail: isStep ? { current, total: blob.size } : {},
  };
}
