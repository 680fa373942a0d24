/** HEALTHCHECK: its flags, and NONE or a command. */
import type { Healthcheck } from "./instruction.ts";
import { SyntaxProblem } from "./source.ts";
import { argsText, commandLine, requireArgs, type Statement } from "./statement.ts";
import { skipSpaces } from "./words.ts";

export const healthcheckFlags = {
  interval: "string",
  timeout: "string",
  "start-period": "string",
  "start-interval": "string",
  retries: "string",
} as const;

const unitNs: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** A duration such as `1m30s` in nanoseconds, undefined when it is none. */
export function parseDurationNs(text: string): number | undefined {
  if (text === "0") return 0;
  if (!/^(?:\d+(?:\.\d*)?(?:ns|us|µs|μs|ms|s|m|h))+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d*)?)(ns|us|µs|μs|ms|s|m|h)/g)) {
    sum += Number(number) * (unitNs[unit ?? ""] ?? 0);
  }
  return Number.isSafeInteger(Math.round(sum)) ? Math.round(sum) : undefined;
}

function duration(statement: Statement, flag: string): number {
  const text = statement.flags.get(flag);
  if (text === undefined || text === "") return 0;
  const ns = text.length > 40 ? undefined : parseDurationNs(text);
  const at = statement.text.indexOf(`--${flag}`);
  if (ns === undefined)
    throw new SyntaxProblem(
      `invalid duration ${JSON.stringify(text.slice(0, 40))} of --${flag}`,
      at,
      "write it like 30s or 1m30s",
    );
  if (ns !== 0 && ns < 1e6) throw new SyntaxProblem(`Interval "${flag}" cannot be less than 1ms`, at);
  return ns;
}

function retries(statement: Statement): number {
  const text = statement.flags.get("retries") ?? "0";
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new SyntaxProblem(
    `--retries must be a number of 0 or more, not ${JSON.stringify(text.slice(0, 40))}`,
    statement.text.indexOf("--retries"),
  );
}

function times(statement: Statement): Omit<Healthcheck, "Test"> {
  const interval = duration(statement, "interval");
  const timeout = duration(statement, "timeout");
  const startPeriod = duration(statement, "start-period");
  const startInterval = duration(statement, "start-interval");
  const count = retries(statement);
  return {
    ...(interval === 0 ? {} : { Interval: interval }),
    ...(timeout === 0 ? {} : { Timeout: timeout }),
    ...(startPeriod === 0 ? {} : { StartPeriod: startPeriod }),
    ...(startInterval === 0 ? {} : { StartInterval: startInterval }),
    ...(count === 0 ? {} : { Retries: count }),
  };
}

/** @throws {SyntaxProblem} on an unknown type, a missing command, a wrong time */
export function parseHealthcheck(statement: Statement): Healthcheck {
  requireArgs(statement);
  const text = argsText(statement);
  const typeEnd = text.search(/\s/) < 0 ? text.length : text.search(/\s/);
  const type = text.slice(0, typeEnd).toUpperCase();
  const restAt = skipSpaces(text, typeEnd);
  if (type === "NONE") {
    if (restAt < text.length)
      throw new SyntaxProblem("HEALTHCHECK NONE takes no arguments", statement.argsAt + restAt);
    return { Test: ["NONE"] };
  }
  if (type !== "CMD") {
    throw new SyntaxProblem(
      `Unknown type ${JSON.stringify(type.slice(0, 60))} in HEALTHCHECK (try CMD)`,
      statement.argsAt,
    );
  }
  const command = commandLine(text.slice(restAt), statement.argsAt + restAt);
  if (command.args.length === 0)
    throw new SyntaxProblem("Missing command after HEALTHCHECK CMD", statement.argsAt + typeEnd);
  return { Test: [command.form === "exec" ? "CMD" : "CMD-SHELL", ...command.args], ...times(statement) };
}
