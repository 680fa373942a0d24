/** App Container images on the compiled binary, their signatures made by GnuPG. Needs root. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import * as fs from "node:fs";
import { TestEngine } from "../lib/engine.ts";
import { sh } from "./image-fixture.ts";

setDefaultTimeout(60_000);

let dir = "";
const engine = new TestEngine("aci");

const manifest = {
  acKind: "ImageManifest",
  acVersion: "0.8.11",
  name: "example.com/worker",
  labels: [
    { name: "version", value: "1.0" },
    { name: "arch", value: "amd64" },
  ],
  app: {
    exec: ["/bin/busybox", "sh", "-c", "echo $GREETING $(id -u) $(pwd)"],
    user: "0",
    group: "0",
    workingDirectory: "/work",
    environment: [{ name: "GREETING", value: "hello" }],
    eventHandlers: [{ name: "pre-start", exec: ["/bin/busybox", "true"] }],
  },
};

/** Keys of their own in a home of their own; one of them expired long ago. */
const keys = `
  export GNUPGHOME=$PWD/gnupg; mkdir -m 700 gnupg
  make() { gpg --batch --quiet --pinentry-mode loopback --passphrase '' "$@"; }
  make --quick-generate-key good@example.com ed25519 sign never
  make --quick-generate-key other@example.com rsa2048 sign never
  make --faked-system-time 20200101T000000 --quick-generate-key old@example.com ed25519 sign 2020-02-01
  for who in good other old; do gpg --batch --armor --export $who@example.com >$who.asc; done
  cat other.asc good.asc >both.asc; gpg --batch --export good@example.com >good.gpg
  make --local-user good@example.com --armor --detach-sign -o app.asc app.aci
  make --local-user good@example.com --detach-sign -o app.sig app.aci
  make --faked-system-time 20200115T000000 --local-user old@example.com --armor --detach-sign -o app.old.asc app.aci
  gpgconf --kill all
`;

beforeAll(async () => {
  dir = fs.mkdtempSync("/tmp/gantry-aci-");
  fs.writeFileSync(`${dir}/manifest`, JSON.stringify(manifest));
  sh(
    dir,
    "mkdir -p rootfs/bin rootfs/work; cp /bin/busybox rootfs/bin/; ln rootfs/bin/busybox rootfs/bin/sh; tar -czf app.aci manifest rootfs",
  );
  sh(dir, keys);
  await engine.start();
});
afterAll(async () => {
  await engine.uninstall();
  fs.rmSync(dir, { recursive: true, force: true });
});

const signed = (signature: string, trust: string, file = "app.aci"): readonly string[] => [
  "import",
  "--aci",
  `${dir}/${file}`,
  "--signature",
  `${dir}/${signature}`,
  "--trust",
  `${dir}/${trust}`,
];

describe("gantry import --aci", () => {
  test("an image whose signature is good is imported, says what it cannot, and runs", async () => {
    const done = engine.run(signed("app.asc", "both.asc"));
    expect(done.err).toBe("");
    expect(done.out).toContain("Good signature of key ");
    expect(done.out).toContain('Warning: the event handler "pre-start" is not run');
    expect(done.out).toContain("Imported image: example.com/worker:1.0");
    expect(done.out).toMatch(/sha256:[0-9a-f]{64}\n$/);
    const run = engine.run(["run", "--rm", "example.com/worker:1.0"]);
    expect([run.err, run.out]).toEqual(["", "hello 0 /work\n"]);
    const label = engine.run([
      "image",
      "inspect",
      "-f",
      '{{index .Config.Labels "appc.io/name"}}',
      "example.com/worker:1.0",
    ]);
    expect(label.out.trim()).toBe("example.com/worker");
  });

  test("binary signatures and key rings are as good, and the name can be chosen", async () => {
    const done = engine.run([...signed("app.sig", "good.gpg"), "mine:2"]);
    expect([done.code, done.out.includes("Imported image: mine:2")]).toEqual([0, true]);
  });

  test.each([
    [
      "another key",
      "app.asc",
      "other.asc",
      "app.aci",
      "it was signed by a key that is not among the trusted ones",
    ],
    ["a tampered file", "app.asc", "good.asc", "bad.aci", "the file is not what was signed"],
    ["an expired key", "app.old.asc", "old.asc", "app.aci", "the key that signed has expired"],
    ["what is no signature", "good.asc", "good.asc", "app.aci", "it is no signature of the file"],
    ["what is no key", "app.asc", "app.asc", "app.aci", "hold no OpenPGP public key"],
  ])("%s is refused, and nothing is left", async (_, signature, trust, file, message) => {
    sh(dir, "cp app.aci bad.aci; printf x >>bad.aci");
    const before = engine.run(["images", "-aq"]).out;
    const done = engine.run([...signed(signature, trust, file), "never:1"]);
    expect(done.code).not.toBe(0);
    expect(done.err).toContain(message);
    expect(engine.run(["images", "-aq"]).out).toBe(before);
  });

  test("what cannot be imported is refused in words", async () => {
    sh(
      dir,
      `mkdir x; cp -r rootfs x; sed 's/"app":/"dependencies":[{"imageName":"example.com\\/base"}],"app":/' manifest >x/manifest; tar -C x -cf deps.aci manifest rootfs
      xz -k -c app.aci >x.aci; printf junk >junk.aci`,
    );
    for (const [file, message] of [
      ["deps.aci", "it depends on other images (example.com/base)"],
      ["x.aci", "compressed with xz"],
      ["junk.aci", "truncated"],
    ] as const) {
      const done = engine.run(["import", "--aci", `${dir}/${file}`]);
      expect([done.code === 0, done.err.includes(message)]).toEqual([false, true]);
    }
    const half = engine.run(["import", "--aci", `${dir}/app.aci`, "--signature", `${dir}/app.asc`]);
    expect(half.err).toContain("--signature and --trust go together");
  });
});
