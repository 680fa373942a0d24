/** Sizes and times on the command line, as runc's own libraries read them. Pure. */
import { GantryError } from "../../lib/index.ts";

const powers = "kmgtp";

/**
 * Bytes of `512`, `50M`, `1.5 GiB`, `64kb`: powers of 1024, rounded down.
 * @throws {GantryError} "invalid", in the words of Docker's units package
 */
export function parseBytes(text: string): number {
  const parts = /^(?<number>[0-9.]+) ?(?<unit>[^0-9. ]*)$/.exec(text)?.groups;
  const value = Number(parts?.["number"]);
  if (parts === undefined || !Number.isFinite(value))
    throw new GantryError("invalid", `invalid size: '${text}'`, {
      hint: "write a size such as 512, 50M or 1.5G",
    });
  const unit = (parts["unit"] ?? "").toLowerCase();
  const power = powers.indexOf(unit.charAt(0)) + 1;
  const tail = unit.slice(1);
  const known = unit === "" || unit === "b" || (power > 0 && (tail === "" || tail === "b" || tail === "ib"));
  if (!known)
    throw new GantryError("invalid", `invalid suffix: '${parts["unit"] ?? ""}'`, {
      hint: "use one of: b, k, m, g, t, p",
    });
  return Math.floor(value * 1024 ** (unit === "" ? 0 : power));
}

const unitsMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/**
 * Milliseconds of a Go duration: `5s`, `1m30s`, `100ms`, `0`; undefined when it is none.
 */
export function parseDuration(text: string): number | undefined {
  const [, sign = "", rest = ""] = /^([+-]?)(.*)$/.exec(text) ?? [];
  if (rest === "0") return 0;
  if (
    !/^([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))*$/.test(
      rest,
    )
  )
    return undefined;
  let total = 0;
  for (const [, value = "", unit = ""] of rest.matchAll(/([0-9.]+)([a-zµμ]+)/g))
    total += Number(value) * (unitsMs[unit] ?? 0);
  return sign === "-" ? -total : total;
}
