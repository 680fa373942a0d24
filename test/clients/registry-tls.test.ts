/** The registry's TLS before curl, openssl and skopeo: a certificate from files, replaced while it runs, and one from an ACME server. */
import { afterAll, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { freePort } from "../lib/postgres.ts";
import { registryCommand } from "../lib/registry-command.ts";
import { TestRegistry } from "../lib/registry.ts";

const dir = mkdtempSync("/tmp/gantry-registry-tls-");
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function ok(...words: readonly string[]): Promise<string> {
  const child = Bun.spawn([...words], { stdin: "ignore", stdout: "pipe", stderr: "pipe", cwd: dir });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new Error(`${words.join(" ")}: ${out}${err}`);
  return out;
}

/** A CA of our own, and certificates that it signs. */
async function makeCa(): Promise<void> {
  await ok(
    ..."openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3 -subj /CN=ca -keyout ca.key -out ca.pem".split(
      " ",
    ),
  );
  for (const name of ["one", "two"]) {
    await ok(
      ..."openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes".split(" "),
      "-subj",
      `/CN=${name}`,
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.csr`,
    );
    await Bun.write(`${dir}/ext`, "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
    await ok(
      ..."openssl x509 -req -days 2 -CA ca.pem -CAkey ca.key -CAcreateserial -extfile ext".split(" "),
      "-in",
      `${name}.csr`,
      "-out",
      `${name}.pem`,
    );
  }
}

const subject = async (port: number): Promise<string> =>
  ok(
    "sh",
    "-c",
    `openssl s_client -connect 127.0.0.1:${port} </dev/null 2>/dev/null | openssl x509 -noout -subject -issuer`,
  );

const use = (name: string): void => {
  copyFileSync(`${dir}/${name}.key`, `${dir}/tls.key`);
  copyFileSync(`${dir}/${name}.pem`, `${dir}/tls.pem`);
};

async function until(what: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 300; i++) {
    if (await what()) return;
    await Bun.sleep(50);
  }
  throw new Error("it did not happen");
}

test("a certificate of one's own: replaced while it runs, kept when the new one is wrong", async () => {
  await makeCa();
  use("one");
  const registry = await TestRegistry.start(`${dir}/own`, [
    "--tls-cert",
    `${dir}/tls.pem`,
    "--tls-key",
    `${dir}/tls.key`,
  ]);
  try {
    expect(await subject(registry.port)).toContain("CN = one");
    const curl = (): Promise<string> =>
      ok("curl", "-sf", "--cacert", "ca.pem", `https://localhost:${registry.port}/v2/`);
    expect(await curl()).toBe("{}");
    // An upload that is under way goes on across the change.
    const feed = new TransformStream<Uint8Array, Uint8Array>();
    const writer = feed.writable.getWriter();
    const base = `https://localhost:${registry.port}`;
    const ca = await Bun.file(`${dir}/ca.pem`).text();
    const begun = await fetch(`${base}/v2/a/blobs/uploads/`, { method: "POST", tls: { ca } });
    const upload = fetch(new URL(begun.headers.get("location") ?? "", base), {
      method: "PATCH",
      body: feed.readable,
      tls: { ca },
      headers: { "Content-Type": "application/octet-stream" },
    });
    await writer.write(Buffer.alloc(1000));
    use("two");
    await until(async () => (await subject(registry.port)).includes("CN = two"));
    await writer.write(Buffer.alloc(1000));
    await writer.close();
    expect((await upload).status).toBe(202);
    expect((await upload).headers.get("range")).toBe("0-1999");
    await Bun.write(`${dir}/tls.pem`, "nonsense");
    process.kill(registry.pid, "SIGHUP");
    await until(async () => registry.log.includes("tls.not-reloaded"));
    expect(await curl()).toBe("{}");
    use("one");
    process.kill(registry.pid, "SIGHUP");
    await until(async () => (await subject(registry.port)).includes("CN = one"));
    await ok("skopeo", "list-tags", "--tls-verify=false", `docker://localhost:${registry.port}/a`).catch(
      (error: unknown) => expect(String(error)).toContain("404 (Not Found)"),
    );
  } finally {
    await registry.stop();
  }
}, 60_000);

interface Pebble extends AsyncDisposable {
  readonly port: number;
  /** How a registry finds it, and is found by it. */
  readonly flags: readonly string[];
}

/** Let's Encrypt's ACME server for tests. @param seconds how long its certificates live */
async function startPebble(seconds?: number): Promise<Pebble> {
  const [acmePort, managementPort, httpPort] = [await freePort(), await freePort(), await freePort()];
  await Bun.write(
    `${dir}/pebble.json`,
    JSON.stringify({
      pebble: {
        listenAddress: `127.0.0.1:${acmePort}`,
        managementListenAddress: `127.0.0.1:${managementPort}`,
        certificate: `${dir}/two.pem`,
        privateKey: `${dir}/two.key`,
        httpPort,
        tlsPort: 1,
        ocspResponderURL: "",
        externalAccountBindingRequired: false,
        ...(seconds === undefined ? {} : { certificateValidityPeriod: seconds }),
      },
    }),
  );
  const pebble = Bun.spawn(["pebble", "-config", `${dir}/pebble.json`], {
    // One nonce in three is refused: clients must take a new one.
    env: { ...process.env, PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "30" },
    stdio: ["ignore", Bun.file(`${dir}/pebble.log`), "ignore"],
  });
  await until(() =>
    ok("curl", "-sf", "--cacert", "ca.pem", `https://localhost:${acmePort}/dir`).then(
      () => true,
      () => false,
    ),
  );
  const acme = ["--acme-directory", `https://localhost:${acmePort}/dir`, "--acme-ca", `${dir}/ca.pem`];
  return {
    port: acmePort,
    flags: [...acme, "--acme-http-addr", `127.0.0.1:${httpPort}`],
    async [Symbol.asyncDispose]() {
      pebble.kill();
      await pebble.exited;
    },
  };
}

test("ACME: ordered, kept across a restart, ordered again for other names", async () => {
  await using pebble = await startPebble();
  const acme = pebble.flags;
  const first = await TestRegistry.start(`${dir}/acme`, [...acme, "--acme-name", "localhost"]);
  const issued = await subject(first.port);
  expect(issued).toContain("Pebble Intermediate CA");
  await first.stop();
  const serial = await Bun.file(`${dir}/acme/acme/cert.pem`).text();
  const again = await TestRegistry.start(`${dir}/acme`, [...acme, "--acme-name", "localhost"]);
  await again.stop();
  expect(await Bun.file(`${dir}/acme/acme/cert.pem`).text()).toBe(serial);
  const more = await TestRegistry.start(`${dir}/acme`, [
    ...acme,
    "--acme-name",
    "localhost",
    "--acme-name",
    "127.0.0.1",
  ]);
  expect(
    await ok(
      "sh",
      "-c",
      `openssl s_client -connect 127.0.0.1:${more.port} </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName`,
    ),
  ).toContain("DNS:localhost, IP Address:127.0.0.1");
  expect(more.log).toContain("acme.certificate");
  await more.stop();
  // Nobody answers at the port that the server asks: the registry does not start, and says why.
  const wrong = [
    "--acme-directory",
    `https://localhost:${pebble.port}/dir`,
    "--acme-ca",
    `${dir}/ca.pem`,
    "--acme-http-addr",
    `127.0.0.1:${await freePort()}`,
  ];
  expect(TestRegistry.start(`${dir}/wrong`, [...wrong, "--acme-name", "localhost"])).rejects.toThrow(
    "port 80 of every name must lead here",
  );
}, 60_000);

test("ACME: renewed after two thirds of its life, while it serves", async () => {
  await using pebble = await startPebble(9);
  const registry = await TestRegistry.start(`${dir}/renewed`, [...pebble.flags, "--acme-name", "localhost"]);
  try {
    const serial = (): Promise<string> =>
      ok(
        "sh",
        "-c",
        `openssl s_client -connect 127.0.0.1:${registry.port} </dev/null 2>/dev/null | openssl x509 -noout -serial`,
      );
    const first = await serial();
    const started = performance.now();
    // A handshake in the very moment of the change is cut now and then: its client comes again.
    await until(async () => (await serial().catch(() => first)) !== first);
    expect(performance.now() - started).toBeWithin(3000, 9000);
  } finally {
    await registry.stop();
  }
}, 60_000);

test("other machines reach it only with TLS and accounts, or when it is said", async () => {
  const start = async (...flags: readonly string[]): Promise<string> => {
    const root = `${dir}/open`;
    mkdirSync(root, { recursive: true });
    return registryCommand(root, ["serve", "--addr", "0.0.0.0:0", ...flags]).then(
      () => "started",
      (error: unknown) => String(error),
    );
  };
  expect(await start()).toContain("passwords would cross the network in clear");
  expect(await start("--insecure-http")).toContain("everybody could push and delete");
  expect(await start("--tls-cert", `${dir}/one.pem`, "--tls-key", `${dir}/one.key`)).toContain(
    "everybody could push and delete",
  );
  expect(
    await start("--tls-cert", `${dir}/one.pem`, "--tls-key", `${dir}/two.key`, "--anonymous-push"),
  ).toContain("is not that of the certificate");
  expect(await start("--anonymous-push", "--tls-cert", `${dir}/one.pem`)).toContain("belong together");
  expect(await start("--auth", "accounts", "--anonymous-push", "--insecure-http")).toContain(
    "goes with auth none or auto only",
  );
  await Bun.write(`${dir}/config.yml`, "addr: 127.0.0.1:0\ntls_cert: x\n");
  expect(await start("--config", `${dir}/config.yml`)).toContain(
    `config.yml:2: there is no setting "tls_cert"`,
  );
});
