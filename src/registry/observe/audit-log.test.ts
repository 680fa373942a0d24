import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sha256 } from "../../lib/index.ts";
import type { RegistryEvent } from "../types.ts";
import { AuditLog } from "./audit-log.ts";

const event: RegistryEvent = {
  id: "e",
  atMs: 0,
  action: "push",
  target: { repository: "team/app", digest: sha256("x"), tag: "v1", kind: "manifest" },
  actor: { name: "alice", kind: "user" },
  remote: "10.0.0.1",
  requestId: "q",
  userAgent: "docker",
};

test("one line an act, renamed away when it is full, a bounded number of files", () => {
  const dir = mkdtempSync(join(tmpdir(), "gantry-audit-"));
  try {
    const log = new AuditLog(join(dir, "audit.log"), false);
    log.listen(event);
    log.listen({ ...event, action: "pull" });
    expect(JSON.parse(readFileSync(join(dir, "audit.log"), "utf8"))).toMatchObject({
      who: "alice",
      action: "push manifest",
      what: `team/app:v1@${sha256("x")}`,
      from: "10.0.0.1",
      result: "ok",
      request: "q",
    });
    expect(statSync(join(dir, "audit.log")).mode & 0o777).toBe(0o600);
    const big = { who: "a".repeat(9 << 20), kind: "user", action: "x", what: "", from: "", result: "ok" };
    for (let i = 0; i < 12; i++) log.write(big);
    log.close();
    expect(readdirSync(dir).toSorted()).toEqual([
      "audit.log",
      ...[1, 2, 3, 4, 5, 6, 7].map((i) => `audit.log.${i}`),
    ]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("a file that cannot be renamed away grows on, and that is told once", () => {
  const dir = mkdtempSync(join(tmpdir(), "gantry-audit-"));
  try {
    mkdirSync(join(dir, "audit.log.7"));
    const told: string[] = [];
    const log = new AuditLog(join(dir, "audit.log"), false, (reason) => told.push(reason));
    const big = { who: "a".repeat(9 << 20), kind: "user", action: "x", what: "", from: "", result: "ok" };
    for (let i = 0; i < 4; i++) log.write(big);
    log.close();
    expect(told).toHaveLength(1);
    expect(statSync(join(dir, "audit.log")).size).toBeGreaterThan(36 << 20);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
