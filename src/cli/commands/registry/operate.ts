/** gantry registry repo …, status, audit, gc, scrub: what there is, and its upkeep. */
import { readAudit } from "../../../registry/index.ts";
import type { CommandSpec } from "../../command.ts";
import { CliError } from "../../errors.ts";
import { binarySize, goTime } from "../../format/human.ts";
import { print, printError } from "../../output.ts";
import { listFormat } from "../list-flags.ts";
import { asCli, doing, placeFlags, printRows, quiet, withAdmin } from "./with-admin.ts";

export const listRepositories: CommandSpec = {
  usage: "[OPTIONS] [PATTERN]",
  summary: "List repositories with their tags, manifests and bytes",
  about: "Bytes of a repository include what it shares with others; `registry status` counts each blob once.",
  examples: [["gantry registry repo ls 'team/**'", "those of one team"]],
  flags: [listFormat, quiet, ...placeFlags],
  args: [0, 1],
  async run(call) {
    const list = await withAdmin(call, (admin) => admin.repositories(call.args[0] ?? "**"));
    const rows = list.map((one) => ({
      Repository: one.name,
      Tags: one.tags,
      Manifests: one.manifests,
      Size: binarySize(one.bytes),
      Bytes: one.bytes,
    }));
    await printRows(
      call,
      { Repository: "REPOSITORY", Tags: "TAGS", Manifests: "MANIFESTS", Size: "SIZE" },
      rows,
    );
    return 0;
  },
};

export const removeRepository = doing(
  {
    usage: "REPOSITORY [REPOSITORY...]",
    summary: "Remove repositories with all their tags and manifests",
    about: "The collector frees the bytes that no other repository needs.",
    args: [1, Infinity],
  },
  async (admin, { args }) => {
    for (const name of args) {
      if (!(await admin.removeRepository(name))) throw new CliError(`there is no repository ${name}`);
      await admin.note("repo rm", name);
    }
    return args.join("\n");
  },
);

export const status: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "Show what the registry holds and how it does",
  flags: [{ name: "format", kind: "string", help: "'json': JSON" }, ...placeFlags],
  args: [0, 0],
  async run(call) {
    const facts = await withAdmin(call, (admin) => admin.status());
    if (call.flags.text("format") === "json") {
      await print(`${JSON.stringify(facts)}\n`);
      return 0;
    }
    const readOnly =
      facts.readOnly === undefined
        ? "no"
        : `since ${goTime(facts.readOnly.sinceMs)} ${facts.readOnly.reason}`;
    const lines: readonly (readonly [string, string])[] = [
      ["Directory", facts.root],
      ["Database", facts.database],
      ["Read-only", readOnly.trim()],
      ["Accounts", `users: ${facts.users}, robots: ${facts.robots}`],
      ["Repositories", String(facts.repositories)],
      ["Tags", String(facts.tags)],
      ["Manifests", String(facts.manifests)],
      ["Blobs", `${facts.blobs}, ${binarySize(facts.bytes)} with the manifests`],
      ["Webhooks", `${facts.webhooks}, ${facts.waiting} deliveries wait, ${facts.dead} given up`],
    ];
    await print(lines.map(([name, value]) => `${`${name}:`.padEnd(14)} ${value}\n`).join(""));
    return 0;
  },
};

const isReport = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null;

export const gc: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "Free the bytes that nothing refers to",
  about:
    "The server does this by itself after deletions. What was uploaded or mounted within the last hour is left alone,\nfor its manifest may be on the way. Pushes and pulls go on.",
  flags: [
    { name: "dry-run", kind: "bool", help: "Only say what would be freed" },
    { name: "deep", kind: "bool", help: "Compare the store with the records, too: reads all names" },
    ...placeFlags,
  ],
  args: [0, 0],
  async run(call) {
    const run = { dryRun: call.flags.bool("dry-run"), deep: call.flags.bool("deep") };
    const report = await withAdmin(call, async (admin) => {
      const done = await admin.collect(run);
      if (!run.dryRun) await admin.note("gc", "");
      return done;
    });
    if (!isReport(report)) throw new CliError("the registry's server answered nothing");
    if (report["busy"] === true) throw new CliError("another instance collects");
    const missing = Array.isArray(report["missing"]) ? report["missing"] : [];
    for (const digest of missing) await printError(`gantry: missing: ${String(digest)}\n`);
    const freed = `${String(report["blobs"])} blobs, ${binarySize(Number(report["bytes"]))}, ${String(report["uploads"])} uploads, ${String(report["orphans"])} unknown files`;
    await print(`${run.dryRun ? "Would free" : "Freed"}: ${freed}\n`);
    return missing.length === 0 ? 0 : 1;
  },
};

export const scrub: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "Read all blobs again and put aside what has changed",
  about: "A blob that is put aside can be pushed again; until then its images cannot be pulled.",
  flags: placeFlags,
  args: [0, 0],
  async run(call) {
    const report = await withAdmin(call, async (admin) => {
      const done = await admin.scrub(() => undefined);
      await admin.note("scrub", `${done.damaged.length} damaged`);
      return done;
    });
    for (const digest of report.damaged) await print(`damaged: ${digest}\n`);
    await print(
      `${report.blobs} blobs, ${binarySize(report.bytes)} read, ${report.damaged.length} damaged\n`,
    );
    return report.damaged.length === 0 ? 0 : 1;
  },
};

export const audit: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "Show who did what",
  about:
    "Reads the audit log of this machine's instance: DIRECTORY/audit.log, JSON lines, older ones in audit.log.1 and so on.",
  examples: [["gantry registry audit --who alice --limit 20", "alice's last twenty acts"]],
  flags: [
    { name: "who", kind: "string", help: "Of one account" },
    { name: "what", kind: "string", help: "Of repositories and names that begin so" },
    { name: "limit", kind: "int", preset: "100", help: "So many, the newest" },
    listFormat,
    ...placeFlags,
  ],
  args: [0, 0],
  async run(call) {
    const { flags } = call;
    const path = await withAdmin(call, async (admin) => admin.auditPath);
    const entries = await asCli(() =>
      readAudit(path, {
        who: flags.text("who"),
        what: flags.text("what"),
        limit: flags.number("limit", 100),
      }),
    );
    await printRows(
      call,
      { Time: "TIME", Who: "WHO", Action: "ACTION", What: "WHAT", From: "FROM", Result: "RESULT" },
      entries.map((entry) => ({
        Time: entry.time,
        Who: entry.who,
        Action: entry.action,
        What: entry.what,
        From: entry.from,
        Result: entry.result,
      })),
    );
    return 0;
  },
};
