/** `gantry-oci spec`: a config.json to begin with, as runc writes it. */
import { existsSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { GantryError } from "../../lib/index.ts";
import { defaultMaskedPaths, defaultMounts, defaultReadonlyPaths } from "../defaults.ts";
import type { OciConfig } from "../oci-types.ts";
import { specVersion, type VerbInput } from "./context.ts";
import { expectWords } from "./flags.ts";

export async function spec({ flags }: VerbInput): Promise<number> {
  expectWords("spec", flags, 0);
  if (flags.is("rootless"))
    throw new GantryError("unsupported", "gantry-oci does not run containers without root", {
      hint: "leave --rootless out",
    });
  const file = resolve(flags.text("bundle") ?? ".", "config.json");
  if (existsSync(file)) throw new GantryError("conflict", `File ${file} exists. Remove it first`);
  writeFileSync(file, `${JSON.stringify(exampleConfig(), undefined, "\t")}\n`, { mode: 0o666 });
  return 0;
}

const capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

/** runc's example: an interactive shell on a read-only root. */
export function exampleConfig(): OciConfig {
  return {
    ociVersion: specVersion,
    process: {
      terminal: true,
      user: { uid: 0, gid: 0 },
      args: ["sh"],
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
      cwd: "/",
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: "rootfs", readonly: true },
    hostname: "gantry",
    mounts: defaultMounts,
    linux: {
      resources: { devices: [{ allow: false, access: "rwm" }] },
      namespaces: (["pid", "network", "ipc", "uts", "mount", "cgroup"] as const).map((type) => ({ type })),
      maskedPaths: defaultMaskedPaths,
      readonlyPaths: defaultReadonlyPaths,
    },
  };
}
