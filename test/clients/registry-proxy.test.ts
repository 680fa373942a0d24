/** Registries behind Debian's tinyproxy: plain HTTP and CONNECT, with a password, and NO_PROXY around it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { copyImage, Registries } from "../../src/distribution/index.ts";
import { parseReference, type RawManifest } from "../../src/image/index.ts";
import { sha256 } from "../../src/lib/index.ts";
import { ForeignRegistry, isOpen } from "../lib/foreign-registry.ts";
import { freePort } from "../lib/postgres.ts";
import { TestAuthority } from "../lib/test-certificates.ts";
import { MemorySource } from "../system/image-source.ts";

/** On the loopback interface, but not of loopback's subnet, to which no program uses a proxy. */
const address = "198.18.77.1";
const dir = mkdtempSync("/tmp/gantry-registry-proxy-");
let authority: TestAuthority;
let plain: ForeignRegistry;
let secure: ForeignRegistry;
let proxy: Bun.Subprocess;
let proxyPort: number;

async function ip(verb: "add" | "del"): Promise<number> {
  const child = Bun.spawn(["ip", "address", verb, `${address}/32`, "dev", "lo"], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  return child.exited;
}

beforeAll(async () => {
  await ip("del");
  expect(await ip("add")).toBe(0);
  authority = await TestAuthority.create(dir);
  const { certFile, keyFile } = await authority.sign("server", address);
  plain = await ForeignRegistry.start({ address });
  secure = await ForeignRegistry.start({ address, tls: { certificate: certFile, key: keyFile } });
  proxyPort = await freePort();
  writeFileSync(
    `${dir}/tinyproxy.conf`,
    `Port ${proxyPort}\nListen 127.0.0.1\nTimeout 60\nLogFile "${dir}/log"\nLogLevel Connect\nPidFile "${dir}/pid"\nBasicAuth alice pw\n`,
  );
  proxy = Bun.spawn(["tinyproxy", "-d", "-c", `${dir}/tinyproxy.conf`], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  for (let tries = 0; !(await isOpen(proxyPort, "127.0.0.1")); tries++) {
    if (tries > 400) throw new Error("tinyproxy has not started");
    await Bun.sleep(25);
  }
});

afterAll(async () => {
  proxy.kill("SIGKILL");
  await proxy.exited;
  await plain[Symbol.asyncDispose]();
  await secure[Symbol.asyncDispose]();
  await ip("del");
  rmSync(dir, { recursive: true, force: true });
});

/** Requests that the proxy has seen since the last call. */
let seenBytes = 0;
function seen(): readonly string[] {
  const log = readFileSync(`${dir}/log`, "utf8");
  const fresh = log.slice(seenBytes);
  seenBytes = log.length;
  return Array.from(
    fresh.matchAll(/Request \(file descriptor \d+\): (\S+ \S+)/g),
    ([, request]) => request ?? "",
  );
}

function registriesWith(environment: Readonly<Record<string, string>>): Registries {
  const config = {
    hosts: { [secure.host]: { insecure: false, ca: authority.file }, [plain.host]: { insecure: true } },
    insecure: [],
  };
  const retries = { tries: 2, firstDelayMs: 10, maxDelayMs: 10, maxRetryAfterMs: 10 };
  return new Registries({ config, environment, retries });
}

const url = (password = "pw"): string => `http://alice:${password}@127.0.0.1:${proxyPort}`;

/** Pushes an image and pulls it again. */
async function round(registries: Registries, name: string): Promise<void> {
  const reference = parseReference(name);
  const source = new MemorySource();
  const { manifest, layers } = source.image({ tars: [randomBytes(2_000_000)] });
  await using target = await registries.target(reference);
  await copyImage({ source, target, tag: reference.tag });
  await using back = await registries.source(reference);
  const raw: RawManifest = await back.manifest();
  expect(raw.digest).toBe(manifest.digest);
  for (const layer of layers)
    expect(sha256(Buffer.concat(await Array.fromAsync(back.blob(layer))))).toBe(layer.digest);
}

test("HTTP_PROXY: each request goes through it", async () => {
  seen();
  await round(registriesWith({ HTTP_PROXY: url() }), `${plain.host}/p/x:1`);
  const requests = seen();
  expect(requests).toContain(`GET http://${plain.host}/v2/p/x/manifests/1`);
  expect(requests.filter((request) => request.startsWith("PATCH ")).length).toBe(1);
});

test("HTTPS_PROXY: a tunnel through it, and the registry's own certificate in the tunnel", async () => {
  seen();
  await round(registriesWith({ HTTPS_PROXY: url() }), `${secure.host}/s/x:1`);
  const requests = seen();
  expect(new Set(requests)).toEqual(new Set([`CONNECT ${secure.host}`]));
  const stranger = new Registries({
    config: { hosts: { [secure.host]: { insecure: false } }, insecure: [] },
    environment: { https_proxy: url() },
  });
  await using source = await stranger.source(parseReference(`${secure.host}/s/x:1`));
  await expect(source.manifest()).rejects.toMatchObject({ fields: { tls: true } });
});

test.each(["198.18.0.0/15", "198.18.77.1", "198.18.77.1:PORT", "*", "other.example, 198.18.77.1"])(
  "NO_PROXY=%s: straight there",
  async (rule) => {
    seen();
    const port = secure.host.split(":")[1] ?? "";
    const environment = { HTTPS_PROXY: url(), NO_PROXY: rule.replace("PORT", port) };
    await using source = await registriesWith(environment).source(parseReference(`${secure.host}/s/x:1`));
    expect((await source.manifest()).bytes.length).toBeGreaterThan(0);
    expect(seen()).toEqual([]);
  },
);

test("a proxy that wants another password, one that is not there, and one of another kind", async () => {
  const pull = async (proxyUrl: string): Promise<unknown> => {
    const registries = registriesWith({ HTTPS_PROXY: proxyUrl, NO_PROXY: "10.0.0.0/8" });
    await using source = await registries.source(parseReference(`${secure.host}/s/x:1`));
    return source.manifest();
  };
  await expect(pull(url("wrong"))).rejects.toThrow("refused to open a tunnel");
  await expect(pull(`http://127.0.0.1:${await freePort()}`)).rejects.toMatchObject({ code: "unavailable" });
  await expect(pull("socks5://127.0.0.1:1080")).rejects.toMatchObject({ code: "unsupported" });
  for (const secret of [url("secret"), "http://u:secret@127.0.0.1:9"]) {
    const error = await pull(secret).catch(String);
    expect(error).toContain("by the proxy 127.0.0.1:");
    expect(error).not.toContain("secret");
  }
});
