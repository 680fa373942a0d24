/** A real Debian: bootstrapped, pushed to our registry, pulled by a second engine, run; its layouts suit umoci and skopeo. Root. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { TestEngine } from "../lib/engine.ts";
import { TestRegistry } from "../lib/registry.ts";

setDefaultTimeout(60_000);

const reason =
  process.getuid?.() !== 0
    ? "it needs root"
    : Bun.which("mmdebstrap") === null && Bun.which("debootstrap") === null
      ? "neither mmdebstrap nor debootstrap is installed"
      : "";
if (reason !== "") process.stdout.write(`bootstrap-roundtrip.test.ts skipped: ${reason}\n`);

const dir = mkdtempSync("/tmp/gantry-debian-");
const [first, second] = [new TestEngine("debian-1"), new TestEngine("debian-2")];
let registry: TestRegistry;
let image = "";
let digest = "";

beforeAll(async () => {
  if (reason !== "") return;
  registry = await TestRegistry.start(`${dir}/registry`);
  image = `127.0.0.1:${registry.port}/os/debian:12`;
  await Promise.all([first.start(), second.start()]);
  const { code, err } = first.run(["image", "bootstrap", "-q", "debian"], { timeoutMs: 110_000 });
  if (code !== 0) throw new Error(err);
}, 120_000);

afterAll(async () => {
  if (reason !== "") return;
  await Promise.all([first.uninstall(), second.uninstall()]);
  await registry.kill();
  rmSync(dir, { recursive: true, force: true });
}, 120_000);

async function ok(...words: readonly string[]): Promise<string> {
  const child = Bun.spawn([...words], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) !== 0) throw new Error(`${words.join(" ")}: ${err}${out}`);
  return out.trim();
}

describe.skipIf(reason !== "")("debian", () => {
  test("push and pull by a second engine: one digest, one id, and it runs", () => {
    first.ok("tag", "debian", image);
    digest = /digest: (sha256:[0-9a-f]{64})/.exec(first.ok("push", image))?.[1] ?? "";
    expect(second.ok("pull", image)).toContain(`Digest: ${digest}`);
    const id = ["image", "inspect", "-f", "{{.Id}} {{index .RepoDigests 0}}", image];
    expect(second.ok(...id)).toBe(first.ok(...id));
    expect(second.ok(...id)).toEndWith(`@${digest}`);
    expect(second.ok("run", "--rm", image, "cat", "/etc/debian_version")).toMatch(/^\d+\.\d+/);
    const packages = (engine: TestEngine): string => engine.ok("run", "--rm", image, "dpkg", "-l");
    expect(packages(second)).toContain("ii  base-files");
    expect(packages(second)).toBe(packages(first));
    expect(second.ok("image", "verify", "-q")).toBe("");
  });

  test("the second engine pushes it on with the same digest", () => {
    const other = image.replace("os/debian", "again/debian");
    second.ok("tag", image, other);
    expect(second.ok("push", other)).toContain(`digest: ${digest}`);
    second.ok("rmi", other);
  });

  test("a layout of it: umoci unpacks it, skopeo knows it by the same digest", async () => {
    const layout = `${dir}/layout`;
    second.ok("image", "copy", "-q", `docker://${image}`, `oci:${layout}:12`);
    mkdirSync(`${dir}/bundles`);
    await ok("umoci", "unpack", "--image", `${layout}:12`, `${dir}/bundles/one`);
    const rootfs = `${dir}/bundles/one/rootfs`;
    expect(readFileSync(`${rootfs}/etc/debian_version`, "utf8")).toMatch(/^\d+\.\d+/);
    expect(existsSync(`${rootfs}/usr/bin/dpkg`)).toBe(true);
    expect(await ok("skopeo", "inspect", "-f", "{{.Digest}}", `oci:${layout}:12`)).toBe(digest);
  });

  test("a saved archive of it loads elsewhere and is pushed with the same digest", () => {
    const archive = `${dir}/debian.tar`;
    first.ok("save", "-o", archive, image);
    second.ok("rmi", image);
    expect(second.ok("load", "-i", archive)).toContain(image);
    expect(second.ok("push", image)).toContain(`digest: ${digest}`);
    expect(second.ok("run", "--rm", image, "true")).toBe("");
  });
});
