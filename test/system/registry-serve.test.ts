/** `gantry registry serve` by somebody who has never seen it: what it says when it runs, and when it cannot. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { binary } from "../lib/engine.ts";
import { freePort } from "../lib/postgres.ts";
import { TestRegistry } from "../lib/registry.ts";

const dir = mkdtempSync("/tmp/gantry-registry-serve-");
const registry = await TestRegistry.start(`${dir}/root`);
afterAll(async () => {
  await registry.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function gantry(
  ...words: readonly string[]
): Promise<{ readonly code: number; readonly text: string }> {
  const child = Bun.spawn([binary, ...words], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    cwd: dir,
    timeout: 10_000,
    killSignal: "SIGKILL",
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, text: out + err };
}

const serve = (...flags: readonly string[]): ReturnType<typeof gantry> =>
  gantry("registry", "serve", ...flags);

test("its first lines: where, who may do what, how to go on", async () => {
  const port = await freePort();
  const child = Bun.spawn(
    [binary, "registry", "serve", "--addr", `127.0.0.1:${port}`, "--root", `${dir}/first`],
    {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
    },
  );
  let text = "";
  for await (const piece of child.stdout) {
    text += Buffer.from(piece).toString();
    if (text.endsWith("ready\n")) break;
  }
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
  const [where, who, how] = text.split("\n");
  expect(where).toBe(`Registry at http://127.0.0.1:${port}, its files in ${dir}/first`);
  expect(who).toContain(`gantry registry user add --admin NAME --root ${dir}/first`);
  expect(how).toContain(`docker push localhost:${port}/NAME`);
});

test("what is wrong is said with what to do", async () => {
  const place = ["--root", `${dir}/other`, "--addr", `127.0.0.1:${await freePort()}`];
  writeFileSync(`${dir}/file`, "");
  mkdirSync(`${dir}/certs`);
  writeFileSync(`${dir}/bad.yml`, "addr: 127.0.0.1:5000\nroot: [\ngrace: 5s\n");
  writeFileSync(`${dir}/typo.yml`, "addr: 127.0.0.1:5000\ntls_cert: x\n");
  const cases: readonly (readonly [flags: readonly string[], ...says: readonly string[]])[] = [
    [
      ["--root", `${dir}/taken`, "--addr", `127.0.0.1:${registry.port}`],
      "is taken by another program",
      "ss -ltnp",
    ],
    [
      ["--root", registry.root, "--addr", "127.0.0.1:0"],
      `(pid ${registry.pid}) serves`,
      "its own with --root",
    ],
    [["--root", `${dir}/file`], "is no directory", "--root DIRECTORY"],
    [["--root", "/proc/registry"], "cannot write to /proc/registry", "choose another directory"],
    [[...place, "--tls-cert", `${dir}/file`], "tls-cert has no tls-key with it", "belong together"],
    [[...place, "--tls-cert", `${dir}/none`, "--tls-key", `${dir}/none`], "none"],
    [["--config", `${dir}/bad.yml`], "bad.yml:2: no YAML", "name: value"],
    [["--config", `${dir}/typo.yml`], 'typo.yml:2: there is no setting "tls_cert"', "did you mean: tls-cert"],
    [["--addr", "5000"], '--addr: "5000" is no address to listen on', "127.0.0.1:5000"],
    [["--root", `${dir}/other`, "--addr", "0.0.0.0:0"], "passwords would cross", "--tls-cert"],
    [["--adr", "x"], "unknown flag: --adr"],
  ];
  for (const [flags, ...says] of cases) {
    const { code, text } = await serve(...flags);
    expect([flags, code]).not.toEqual([flags, 0]);
    for (const said of says) expect(text).toContain(said);
    if (says.length > 1) expect(text).toContain("hint: ");
  }
  // The one that runs has not noticed.
  expect((await fetch(`${registry.url}/v2/`)).status).toBe(200);
});

test("help has examples, and the shell completes", async () => {
  const { text } = await serve("--help");
  expect(text).toContain("Examples:");
  expect(text).toContain("gantry registry serve --addr :443 --acme-name registry.example");
  const script = `source <("$0" completion bash); COMP_WORDS=(gantry registry "\${@:1}"); COMP_CWORD=$(($# + 1)); _gantry; echo "\${COMPREPLY[@]}"`;
  const complete = async (...words: readonly string[]): Promise<string> => {
    const child = Bun.spawn(["bash", "-c", script, binary, ...words], { stdout: "pipe", stderr: "inherit" });
    return (await child.stdout.text()).trim();
  };
  expect(await complete("ser")).toBe("serve");
  expect(await complete("key", "")).toBe("ls rotate");
  expect((await complete("serve", "--tls")).split(" ")).toEqual(["--tls-cert", "--tls-key"]);
});
