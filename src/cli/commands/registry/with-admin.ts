/** What the commands on a registry's records share: where the registry is, and its errors as the command line prints them. */
import { GantryError } from "../../../lib/index.ts";
import { openAdmin, type Admin } from "../../../registry/index.ts";
import type { CommandSpec, Invocation } from "../../command.ts";
import { CliError } from "../../errors.ts";
import type { Flag } from "../../flags/flag.ts";
import { formatListing } from "../../format/listing.ts";
import { print } from "../../output.ts";
import { Row } from "../../template/value.ts";

/** Where the registry keeps its records. */
export const placeFlags: readonly Flag[] = [
  { name: "config", kind: "string", help: "The registry's configuration file" },
  { name: "root", kind: "string", help: "The registry's directory (its default: /var/lib/gantry-registry)" },
  { name: "database", kind: "string", help: "The registry's PostgreSQL, where it has one" },
  { name: "s3", kind: "string", help: "The registry's bucket, where it has one" },
  { name: "s3-endpoint", kind: "string", help: "The server of the bucket" },
  { name: "blobs", kind: "string", help: "The directory of the blobs, where it is another" },
];

/** Opens the records, runs `work`, closes them. @throws {CliError} */
export async function withAdmin<T>({ flags }: Invocation, work: (admin: Admin) => Promise<T>): Promise<T> {
  const given: Record<string, readonly string[]> = {};
  for (const name of ["root", "database", "s3", "s3-endpoint", "blobs"])
    if (flags.has(name)) given[name] = flags.list(name);
  return asCli(async () => {
    await using admin = await openAdmin({
      flags: given,
      config: flags.has("config") ? flags.text("config") : undefined,
    });
    return await work(admin);
  });
}

/** Errors of the registry with their hints. */
export async function asCli<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof GantryError)) throw error;
    throw new CliError(error.message, error.hint === undefined ? {} : { hint: error.hint });
  }
}

type Values = Readonly<Record<string, string | number | boolean>>;

/** A table whose columns are the fields of its rows: `{ Name: "NAME" }`. */
export async function printRows(
  { flags }: Invocation,
  headers: Readonly<Record<string, string>>,
  rows: readonly Values[],
): Promise<void> {
  const [first = ""] = Object.keys(headers);
  await print(
    formatListing({
      format: flags.text("format"),
      quiet: flags.bool("quiet"),
      table: Object.keys(headers)
        .map((name) => `{{.${name}}}`)
        .join("\t"),
      quietField: first,
      headers,
      rows: rows.map((row) => new Row("*formatter.registryContext", row)),
    }),
  );
}

export const quiet: Flag = { name: "quiet", short: "q", kind: "bool", help: "Print names only" };

/** A command that does one thing and prints what it did. */
export function doing(
  spec: Omit<CommandSpec, "run" | "flags"> & { readonly flags?: readonly Flag[] },
  work: (admin: Admin, call: Invocation) => Promise<string>,
): CommandSpec {
  return {
    ...spec,
    flags: [...(spec.flags ?? []), ...placeFlags],
    completes: spec.completes ?? "none",
    async run(call) {
      const text = await withAdmin(call, (admin) => work(admin, call));
      if (text !== "") await print(`${text}\n`);
      return 0;
    },
  };
}
