/** The image debian: a minimal system of this machine's own suite and mirror, made by mmdebstrap or debootstrap. */
import * as fs from "node:fs";
import { GantryError } from "../lib/index.ts";
import type { BootstrapOptions } from "./bootstrap.ts";
import type { ImageStore } from "./image-store.ts";
import { needProgram, runProgram, streamProgram } from "./program.ts";
import type { ImageRecord } from "./types.ts";

/** Where apt's own configuration says how the mirror is reached. */
const proxyPattern = /^Acquire::(?:http|https)::Proxy.* "[^"\n]*";$/;

export async function bootstrapDebian(store: ImageStore, options: BootstrapOptions): Promise<ImageRecord> {
  const suite = debianSuite(fs.readFileSync("/etc/os-release", "utf8"));
  const debootstrap = Bun.which("mmdebstrap") === null ? Bun.which("debootstrap") : null;
  const source =
    debootstrap === null
      ? await withMmdebstrap(suite, options)
      : withDebootstrap(debootstrap, suite, store, options);
  return store.importTar(source, {
    reference: options.reference ?? "debian:latest",
    config: { Cmd: ["bash"], Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"] },
    message: `Debian ${suite}, minimal`,
    signal: options.signal,
  });
}

/** @throws {GantryError} "unsupported" on another distribution */
export function debianSuite(osRelease: string): string {
  const value = (key: string): string =>
    new RegExp(`^${key}="?([^"\\n]*)"?$`, "m").exec(osRelease)?.[1] ?? "";
  const suite = value("VERSION_CODENAME");
  if (/^(debian|ubuntu)$/.test(value("ID")) && /^[a-z]+$/.test(suite)) return suite;
  throw new GantryError(
    "unsupported",
    `this machine runs ${value("ID") || "an unknown system"}, not Debian: its packages make no Debian image`,
    {
      hint: "gantry image bootstrap busybox, or gantry import of a root file system",
    },
  );
}

async function withMmdebstrap(suite: string, options: BootstrapOptions): Promise<AsyncIterable<Uint8Array>> {
  const program = await needProgram("mmdebstrap", "mmdebstrap", options);
  const proxies = await aptProxies(options);
  const command = [
    program,
    "--variant=minbase",
    "--format=tar",
    ...proxies.map((line) => `--aptopt=${line}`),
    // Package lists and caches are of no use in an image.
    '--customize-hook=rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin',
    suite,
    "-",
  ];
  return streamProgram(command, options);
}

async function aptProxies(options: BootstrapOptions): Promise<readonly string[]> {
  const lines: string[] = [];
  await runProgram(["apt-config", "dump"], { ...options, onLine: (line) => lines.push(line) });
  return lines.filter((line) => proxyPattern.test(line));
}

/** debootstrap fills a directory, which tar then streams. */
async function* withDebootstrap(
  program: string,
  suite: string,
  store: ImageStore,
  options: BootstrapOptions,
): AsyncGenerator<Uint8Array, void, void> {
  const dir = store.temporaryPath("debootstrap");
  try {
    await runProgram([program, "--variant=minbase", suite, dir], options);
    for (const name of ["var/cache/apt/archives", "var/lib/apt/lists"])
      fs.rmSync(`${dir}/${name}`, { recursive: true, force: true });
    const tar = [
      "tar",
      "--numeric-owner",
      "--sort=name",
      "--xattrs",
      "--xattrs-include=*",
      "--exclude=./dev/*",
      "--exclude=./proc/*",
      "--exclude=./sys/*",
    ];
    yield* streamProgram([...tar, "-C", dir, "-c", "."], options);
  } finally {
    await fs.promises.rm(dir, { recursive: true, force: true });
  }
}
