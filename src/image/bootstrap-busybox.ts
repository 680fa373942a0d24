/** The image busybox: the static busybox of the package busybox-static, a link for each applet, and a few files. */
import * as fs from "node:fs";
import { GantryError, tarHeader, tarPadding, tarTrailer, type TarEntryInput } from "../lib/index.ts";
import type { BootstrapOptions } from "./bootstrap.ts";
import type { ImageStore } from "./image-store.ts";
import { installPackage, streamProgram } from "./program.ts";
import type { ImageRecord } from "./types.ts";

const packageName = "busybox-static";
const places = ["/bin/busybox", "/usr/bin/busybox"];
const maxBinaryBytes = 64 << 20;

const files: Readonly<Record<string, string>> = {
  "etc/group":
    "root:x:0:\ndaemon:x:1:\nmail:x:8:\ntty:x:5:\nwww-data:x:33:\nusers:x:100:\nnogroup:x:65534:\n",
  "etc/hosts": "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n",
  "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
  "etc/passwd":
    "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nmail:x:8:8:mail:/var/spool/mail:/bin/false\n" +
    "www-data:x:33:33:www-data:/var/www:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n",
  "etc/shadow": "root:*::0:::::\ndaemon:*::0:::::\nmail:*::0:::::\nwww-data:*::0:::::\nnobody:*::0:::::\n",
};

const directories: readonly (readonly [path: string, mode: number])[] = [
  [".", 0o755],
  ["bin", 0o755],
  ["dev", 0o755],
  ["etc", 0o755],
  ["home", 0o755],
  ["proc", 0o555],
  ["root", 0o700],
  ["sys", 0o555],
  ["tmp", 0o1777],
  ["usr", 0o755],
  ["usr/bin", 0o755],
  ["usr/sbin", 0o755],
  ["var", 0o755],
  ["var/spool", 0o755],
  ["var/spool/mail", 0o755],
  ["var/tmp", 0o1777],
  ["var/www", 0o755],
];

/** The same busybox makes the same image, always. */
export async function bootstrapBusybox(store: ImageStore, options: BootstrapOptions): Promise<ImageRecord> {
  const path = await findBusybox(options);
  const applets = await listApplets(path, options);
  options.onLine(`${path}: ${applets.length} applets`);
  const binary = fs.readFileSync(path);
  const created = new Date(Math.floor(fs.statSync(path).mtimeMs / 1000) * 1000).toISOString();
  return store.importTar(archive(binary, applets), {
    reference: options.reference ?? "busybox:latest",
    config: { Cmd: ["sh"], Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"] },
    message: `busybox of the package ${packageName}`,
    created,
    signal: options.signal,
  });
}

async function findBusybox(options: BootstrapOptions): Promise<string> {
  const find = (): string | undefined => places.find((path) => fs.existsSync(path) && isStatic(path));
  const found = find();
  if (found !== undefined) return found;
  await installPackage(packageName, options);
  const installed = find();
  if (installed === undefined)
    throw new GantryError("unavailable", `the package ${packageName} brought no static busybox`);
  return installed;
}

const programInterpreter = 3;

/** An ELF file that asks for no interpreter (elf(5), PT_INTERP). */
export function isStatic(path: string): boolean {
  const bytes = fs.readFileSync(path);
  if (
    bytes.length > maxBinaryBytes ||
    bytes.length < 64 ||
    bytes.readUInt32BE(0) !== 0x7f454c46 ||
    bytes[4] !== 2
  )
    return false;
  const [offset, size, count] = [
    Number(bytes.readBigUInt64LE(32)),
    bytes.readUInt16LE(54),
    bytes.readUInt16LE(56),
  ];
  for (let i = 0; i < count; i++) {
    const at = offset + i * size;
    if (at + 4 > bytes.length || bytes.readUInt32LE(at) === programInterpreter) return false;
  }
  return true;
}

async function listApplets(path: string, options: BootstrapOptions): Promise<readonly string[]> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of streamProgram([path, "--list"], options)) chunks.push(chunk);
  const names = Buffer.concat(chunks)
    .toString()
    .split("\n")
    .filter((name) => /^[a-z0-9[_.-]+$/i.test(name) && name !== "busybox");
  if (names.length === 0) throw new GantryError("unavailable", `${path} --list names no applets`);
  return [...new Set(names)].sort();
}

async function* archive(
  binary: Uint8Array,
  applets: readonly string[],
): AsyncGenerator<Uint8Array, void, void> {
  for (const [path, mode] of directories) yield tarHeader({ path, type: "dir", mode });
  yield* file({ path: "bin/busybox", type: "file", mode: 0o755 }, binary);
  for (const name of applets)
    yield tarHeader({ path: `bin/${name}`, type: "hardlink", linkPath: "bin/busybox", mode: 0o755 });
  // Scripts begin with #!/usr/bin/env.
  yield tarHeader({ path: "usr/bin/env", type: "symlink", linkPath: "../../bin/env", mode: 0o777 });
  for (const [path, text] of Object.entries(files)) {
    yield* file({ path, type: "file", mode: path === "etc/shadow" ? 0o640 : 0o644 }, Buffer.from(text));
  }
  yield tarTrailer;
}

function* file(entry: TarEntryInput, bytes: Uint8Array): Generator<Uint8Array, void, void> {
  yield tarHeader({ ...entry, size: bytes.length });
  yield bytes;
  yield tarPadding(bytes.length);
}
