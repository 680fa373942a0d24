import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { GantryError } from "../lib/index.ts";
import {
  canonicalName,
  familiarName,
  familiarRepository,
  parseReference,
  withDefaultTag,
} from "./reference.ts";

const digest = `sha256:${"a".repeat(64)}`;

test.each([
  ["busybox", "docker.io/library/busybox:latest", "busybox:latest", "busybox"],
  ["busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36", "busybox"],
  ["library/busybox", "docker.io/library/busybox:latest", "busybox:latest", "busybox"],
  ["docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest", "busybox"],
  ["index.docker.io/a/b", "docker.io/a/b:latest", "a/b:latest", "a/b"],
  ["docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest", "library/a/b"],
  ["a/b/c:x_Y-1.2", "docker.io/a/b/c:x_Y-1.2", "a/b/c:x_Y-1.2", "a/b/c"],
  ["localhost/app", "localhost/app:latest", "localhost/app:latest", "localhost/app"],
  ["localhost:5000/app:2", "localhost:5000/app:2", "localhost:5000/app:2", "localhost:5000/app"],
  ["[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app:latest", "[::1]:5000/app"],
  ["Registry/app", "Registry/app:latest", "Registry/app:latest", "Registry/app"],
  ["ghcr.io/o/r__x.y-z", "ghcr.io/o/r__x.y-z:latest", "ghcr.io/o/r__x.y-z:latest", "ghcr.io/o/r__x.y-z"],
  [`busybox@${digest}`, `docker.io/library/busybox@${digest}`, `busybox@${digest}`, "busybox"],
  [`busybox:1@${digest}`, `docker.io/library/busybox:1@${digest}`, `busybox:1@${digest}`, "busybox"],
])("%s", (text, canonical, familiar, repository) => {
  const reference = withDefaultTag(parseReference(text));
  expect(canonicalName(reference)).toBe(canonical);
  expect(familiarName(reference)).toBe(familiar);
  expect(familiarRepository(reference)).toBe(repository);
  expect(canonicalName(parseReference(canonical))).toBe(canonical);
});

describe("refused, in Docker's words", () => {
  test.each([
    ["", "invalid reference format"],
    ["a b", "invalid reference format"],
    ["-a", "invalid reference format"],
    ["a//b", "invalid reference format"],
    ["a/", "invalid reference format"],
    ["a:", "invalid reference format"],
    ["a:b:c", "invalid reference format"],
    ["a@sha256:12", "invalid reference format"],
    ["a_-b", "invalid reference format"],
    [`a:${"t".repeat(129)}`, "invalid reference format"],
    ["Busybox", "invalid reference format: repository name (library/Busybox) must be lowercase"],
    ["a/B", "invalid reference format: repository name (a/B) must be lowercase"],
    [
      `h/${"f".repeat(256)}`,
      "invalid reference format: repository name must not be more than 255 characters",
    ],
    ["f".repeat(5000), "invalid reference format: it has more than 4096 characters"],
    [
      "a".repeat(64),
      `invalid reference format: invalid repository name (${"a".repeat(64)}), cannot specify 64-byte hexadecimal strings`,
    ],
  ])("%p", (text, message) => expect(() => parseReference(text)).toThrow(message));
});

/** Compared with Go's distribution/reference 0.6.0 on 100,000 generated names; these are the ones that surprise. */
describe("as Go's library reads them", () => {
  const sha512 = `sha512:${"b".repeat(128)}`;
  test.each([
    ["foo.com", "docker.io", "library/foo.com"],
    ["foo:5000", "docker.io", "library/foo"],
    ["Foo/bar", "Foo", "bar"],
    ["LOCALHOST/a", "LOCALHOST", "a"],
    ["x:8/a", "x:8", "a"],
    ["a--b.com/a", "a--b.com", "a"],
    ["[2001:db8::1]/a", "[2001:db8::1]", "a"],
    ["[::]:0/a", "[::]:0", "a"],
    ["index.docker.io/a", "docker.io", "library/a"],
    ["docker.io/library/a", "docker.io", "library/a"],
    [`h.com/${"p".repeat(255)}`, "h.com", "p".repeat(255)],
    [`${"h".repeat(400)}.com/p`, `${"h".repeat(400)}.com`, "p"],
    [`a:${"t".repeat(128)}`, "docker.io", "library/a"],
    [`a@${sha512}`, "docker.io", "library/a"],
    [`${"a".repeat(63)}g`, "docker.io", `library/${"a".repeat(63)}g`],
    ["a---b", "docker.io", "library/a---b"],
    ["0", "docker.io", "library/0"],
  ])("%s", (text, domain, path) => {
    const reference = parseReference(text);
    expect([reference.domain, reference.path]).toEqual([domain, path]);
  });

  test.each([
    "a_b.com/x",
    "a..b/x",
    "-a.com/x",
    "a-.com/x",
    "[::ffff:1.2.3.4]/a",
    "[fe80::1%eth0]/a",
    "[::1/a",
    "::1/a",
    "x:/a",
    "x:80:81/a",
    "r___x",
    "a._b",
    "a:t@",
    "a@",
    "a:.x",
    "a:-x",
    "a\n",
    " a",
    "é",
    `a@sha256:${"A".repeat(64)}`,
    `a@sha256:${"a".repeat(63)}`,
    `a@sha512:${"a".repeat(64)}`,
    `a@md5:${"a".repeat(32)}`,
    `a@SHA256:${"a".repeat(64)}`,
    "https://example.com/a",
  ])("%p is refused", (text) => expect(() => parseReference(text)).toThrow("invalid reference format"));

  test("quickly, whatever it is", () => {
    const begun = performance.now();
    for (const part of ["a", "a-", "a.", "a/", "__", "A", "[:", "a:", "a@"]) {
      for (const end of ["", "/a", ":", "!"]) {
        try {
          parseReference(part.repeat(2000).slice(0, 4090) + end);
        } catch (error) {
          expect(error).toBeInstanceOf(GantryError);
        }
      }
    }
    expect(performance.now() - begun).toBeLessThan(1000);
  });
});

test("what was parsed is printed so that it is parsed the same, in both forms", () => {
  const piece = fc.constantFrom(
    "a",
    "library",
    "docker.io",
    "localhost",
    "A",
    "b.c",
    "x:1",
    "[::1]",
    "r__x",
    "_",
    "",
  );
  const name = fc
    .record({
      parts: fc.array(piece, { minLength: 1, maxLength: 4 }),
      tag: fc.constantFrom("", ":latest", ":_X.y-z", ":", ":-"),
      digest: fc.constantFrom("", `@${digest}`, "@x"),
    })
    .map(({ parts, tag, digest: at }) => parts.join("/") + tag + at);
  fc.assert(
    fc.property(fc.oneof(name, fc.string({ maxLength: 12 })), (text) => {
      let reference: ReturnType<typeof parseReference>;
      try {
        reference = parseReference(text);
      } catch (error) {
        expect(error).toBeInstanceOf(GantryError);
        return;
      }
      expect(parseReference(canonicalName(reference))).toEqual(reference);
      // A namespace of Docker Hub with a dot, which there is none of, has a short form that reads as a host: Go's, too.
      if (/^docker\.io\/[^/]*[.:][^/]*\//.test(canonicalName(reference))) return;
      if (canonicalName(reference).startsWith("docker.io/localhost/")) return;
      expect(parseReference(familiarName(reference))).toEqual(reference);
    }),
    { numRuns: 2000 },
  );
});
