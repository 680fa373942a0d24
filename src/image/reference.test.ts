import { describe, expect, test } from "bun:test";
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
    [`a:${"t".repeat(129)}`, "invalid reference format: invalid tag format"],
    ["Busybox", "invalid reference format: repository name (Busybox) must be lowercase"],
    ["a/B", "invalid reference format: repository name (a/B) must be lowercase"],
    ["f".repeat(256), "invalid reference format: repository name must not be more than 255 characters"],
    [
      "a".repeat(64),
      `invalid reference format: invalid repository name (${"a".repeat(64)}), cannot specify 64-byte hexadecimal strings`,
    ],
  ])("%p", (text, message) => expect(() => parseReference(text)).toThrow(message));
});
