/** gantry load, save, import: images as archives. */
import type { CommandSpec, Invocation } from "../command.ts";
import { failureOf, jsonLines } from "../connection/json-stream.ts";
import { CliError } from "../errors.ts";
import { splitReference } from "../format/reference.ts";
import { pieceWriter, print } from "../output.ts";
import { counted, ProgressLine, stderrIsTerminal } from "../progress.ts";
import { isTerminal } from "../session/terminal.ts";

export const load: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "Load an image from a tar archive or STDIN",
  aliases: ["image load", "load"],
  examples: [
    ["gantry load -i busybox.tar", "an archive made by gantry save or docker save, or an OCI layout"],
  ],
  flags: [
    { name: "input", short: "i", kind: "string", help: "Read the archive from this file" },
    { name: "quiet", short: "q", kind: "bool", help: "Print no progress" },
  ],
  args: [0, 0],
  completes: "files",
  async run(call) {
    const path = call.flags.text("input");
    if (path === "" && isTerminal(0)) {
      throw new CliError("requested load from stdin, but stdin is empty", {
        hint: "name the archive: gantry load -i FILE",
        bare: true,
      });
    }
    const source = await openSource(path === "" ? "-" : path);
    await upload(call, {
      source,
      label: "Loading",
      path: "/images/load",
      // As docker does: where nobody watches, layers are not told of.
      query: { quiet: call.flags.bool("quiet") || !isTerminal(1) },
    });
    return 0;
  },
};

export const importImage: CommandSpec = {
  usage: "[OPTIONS] file|- [REPOSITORY[:TAG]]",
  summary: "Import the contents from a tarball to create a filesystem image",
  aliases: ["image import", "import"],
  examples: [
    ["gantry import --change 'CMD [\"/bin/sh\"]' rootfs.tar.gz base:1", "a root file system as an image"],
    [
      "gantry import --aci app.aci --signature app.aci.asc --trust keys.asc",
      "an App Container image, when its signature is of one of the keys",
    ],
  ],
  flags: [
    { name: "change", short: "c", kind: "list", help: "Apply a Dockerfile instruction to the image" },
    { name: "message", short: "m", kind: "string", help: "Comment for the image's history" },
    { name: "platform", kind: "string", help: "Platform of the image" },
    { name: "aci", kind: "bool", help: "The file is an App Container image (appc)" },
    { name: "signature", kind: "string", help: "Check this detached OpenPGP signature of the image (--aci)" },
    { name: "trust", kind: "string", help: "Public keys that the signature may be of (--aci)" },
  ],
  args: [1, 2],
  completes: "files",
  async run(call) {
    const [file = "", reference = ""] = call.args;
    if (/^https?:\/\//.test(file))
      throw new CliError("this gantry does not import from URLs", {
        hint: `fetch it first: curl -L ${file} | gantry import - ${reference}`,
      });
    const { repository, tag } = splitReference(reference);
    const { flags } = call;
    if (flags.bool("aci")) return importAci(call, file, { repo: repository, tag });
    if (flags.text("signature") !== "" || flags.text("trust") !== "")
      throw new CliError("--signature and --trust are for App Container images: add --aci");
    const query = {
      fromSrc: "-",
      repo: repository,
      tag,
      message: flags.text("message"),
      changes: flags.list("change"),
      platform: flags.text("platform"),
    };
    await upload(call, { source: await openSource(file), label: "Importing", path: "/images/create", query });
    return 0;
  },
};

/** The signature and the keys go before the image, which the engine unpacks when it has checked it. */
async function importAci(
  call: Invocation,
  file: string,
  name: { readonly repo: string; readonly tag: string },
): Promise<number> {
  const { flags } = call;
  const [signaturePath, trustPath] = [flags.text("signature"), flags.text("trust")];
  if ((signaturePath === "") !== (trustPath === ""))
    throw new CliError("--signature and --trust go together: which keys may the signature be of?");
  if (flags.list("change").length > 0 || flags.text("message") !== "" || flags.text("platform") !== "")
    throw new CliError("--change, --message and --platform are not for App Container images");
  const [signature, trust] = await Promise.all([smallFile(signaturePath), smallFile(trustPath)]);
  const { open, bytes } = await openSource(file);
  const total = bytes === undefined ? undefined : bytes + signature.length + trust.length;
  const source: Source = {
    open: () => behind([signature, trust], open()),
    bytes: total,
  };
  const lengths = { signature: String(signature.length), trust: String(trust.length) };
  const query = { fromSrc: "-", aci: true, ...name, ...lengths };
  await upload(call, { source, label: "Importing", path: "/images/create", query });
  return 0;
}

async function smallFile(path: string): Promise<Uint8Array> {
  if (path === "") return new Uint8Array(0);
  try {
    return await Bun.file(path).bytes();
  } catch (error) {
    throw new CliError(`cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function behind(heads: readonly Uint8Array[], rest: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  return rest.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      start(controller) {
        for (const head of heads) if (head.length > 0) controller.enqueue(head);
      },
      transform: (piece, controller) => controller.enqueue(piece),
    }),
  );
}

interface Source {
  readonly open: () => ReadableStream<Uint8Array>;
  readonly bytes: number | undefined;
}

async function openSource(path: string): Promise<Source> {
  if (path === "-") return { open: () => Bun.stdin.stream(), bytes: undefined };
  const file = Bun.file(path);
  if (!(await file.exists())) {
    const { existsSync } = await import("node:fs");
    throw new CliError(
      existsSync(path) ? `${path} is not a file` : `open ${path}: no such file or directory`,
      { bare: true },
    );
  }
  return { open: () => file.stream(), bytes: file.size };
}

interface Upload {
  readonly source: Source;
  readonly label: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string | boolean | readonly string[]>>;
}

/** Sends an archive with a progress line and prints the engine's answers. */
async function upload({ engine, flags }: Invocation, { source, label, path, query }: Upload): Promise<void> {
  const line = new ProgressLine(label, !flags.bool("quiet") && (await stderrIsTerminal()));
  const response = await engine.request("POST", path, {
    query,
    headers: { "Content-Type": "application/x-tar" },
    body: () => counted(source.open(), (bytes) => line.update(bytes, source.bytes)),
  });
  await line.clear();
  for await (const message of jsonLines(response)) {
    const failure = failureOf(message);
    if (failure !== undefined) throw failure;
    if (message.stream !== undefined) await print(message.stream);
    else if (message.progressDetail?.current !== undefined)
      line.update(message.progressDetail.current, message.progressDetail.total);
    else if (message.status !== undefined) {
      await line.clear();
      await print(`${message.status}\n`);
    }
  }
  await line.clear();
}

export const save: CommandSpec = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  summary: "Save one or more images to a tar archive (streamed to STDOUT by default)",
  aliases: ["image save", "save"],
  examples: [["gantry save -o busybox.tar busybox", "an archive that gantry load and docker load read"]],
  flags: [
    {
      name: "format",
      kind: "string",
      preset: "docker",
      help: "docker, or oci: a layout with manifests and layers as they were pulled or will be pushed",
    },
    { name: "output", short: "o", kind: "string", help: "Write to this file" },
  ],
  args: [1, Infinity],
  completes: "images",
  run: saveImages,
};

async function saveImages({ flags, args, engine }: Invocation): Promise<number> {
  const path = flags.text("output");
  if (path === "" && isTerminal(1)) {
    throw new CliError("cowardly refusing to save to a terminal. Use the -o flag or redirect", {
      bare: true,
    });
  }
  const format = flags.text("format", "docker");
  const response = await engine.request("GET", "/images/get", {
    query: { names: args, ...(format === "docker" ? {} : { format }) },
  });
  if (response.body === null) throw new CliError("the engine sent no archive");
  if (path === "") {
    const stdout = pieceWriter(1);
    for await (const piece of response.body) await stdout.write(piece);
    return 0;
  }
  await saveToFile(response.body, path);
  return 0;
}

/** Writes beside the file and renames, so that a broken connection leaves no half archive. */
async function saveToFile(body: ReadableStream<Uint8Array>, path: string): Promise<void> {
  const { renameSync, rmSync } = await import("node:fs");
  const partial = `${path}.partial-${process.pid}`;
  const line = new ProgressLine("Saving", await stderrIsTerminal());
  try {
    const sink = Bun.file(partial).writer();
    let bytes = 0;
    for await (const piece of body) {
      sink.write(piece);
      await sink.flush();
      line.update((bytes += piece.length), undefined);
    }
    await sink.end();
    renameSync(partial, path);
  } catch (error) {
    rmSync(partial, { force: true });
    const reason = error instanceof Error ? error.message : String(error);
    throw new CliError(`failed to save image to ${path}: ${reason}`);
  } finally {
    await line.clear();
  }
}
