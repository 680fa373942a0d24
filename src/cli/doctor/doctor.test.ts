import { expect, test } from "bun:test";
import type { Eyes } from "./finding.ts";
import { firewall } from "./host-checks.ts";
import { kernelChecks } from "./kernel-checks.ts";

const machine = (files: Readonly<Record<string, string>>): Eyes => ({
  read: (path) => files[path],
  has: (path) => files[path] !== undefined,
  names: () => [],
  say: () => undefined,
});

test("a bare machine fails in what containers are made of, each with a fix", () => {
  const findings = kernelChecks(
    machine({ "/proc/sys/kernel/osrelease": "4.19.0", "/proc/sys/kernel/keys/maxkeys": "200\n" }),
  );
  const failed = findings.filter(({ level }) => level === "FAIL").map(({ message }) => message);
  expect(failed).toContain("Linux 4.19.0 is older than 5.10");
  expect(failed).toContain("there is no overlay file system");
  expect(failed).toContain("there are no net namespaces");
  expect(findings.filter(({ level, fix }) => level !== "OK" && fix === undefined)).toEqual([]);
  expect(findings).toContainEqual(
    expect.objectContaining({
      level: "WARN",
      fix: "sysctl -w kernel.keys.maxkeys=1000, and the same in /etc/sysctl.d",
    }),
  );
});

test("others' rules that drop what containers send are found; ours are not", () => {
  const table = (name: string, policy: string): string =>
    `table ip ${name} {\n\tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy ${policy};\n\t}\n}\n`;
  const levels = (rules: string): string[] => [...firewall(rules)].map(({ level }) => level);
  expect(levels(table("filter", "accept") + table("gantry", "drop"))).toEqual(["OK"]);
  expect([...firewall(table("filter", "drop"))][0]?.message).toBe(
    "forwarded packets are dropped by default in table ip filter",
  );
});
