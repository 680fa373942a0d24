/** `Healthcheck` of a create request. Pure. */
import { GantryError } from "../../lib/index.ts";
import type { Healthcheck } from "../container.ts";
import type { Fields } from "./json-fields.ts";

const leastNanoseconds = 1_000_000;
const kinds = ["NONE", "CMD", "CMD-SHELL"];

/** @throws {GantryError} "invalid", in dockerd's words where it has any */
export function parseHealth(fields: Fields): Healthcheck {
  const test = fields.strings("Test");
  const [kind = "NONE"] = test;
  if (!kinds.includes(kind))
    throw new GantryError("invalid", `Unknown healthcheck type ${JSON.stringify(kind)}`, {
      hint: `one of: ${kinds.join(" ")}`,
    });
  if (kind !== "NONE" && test.length < 2)
    throw new GantryError("invalid", `the health check ${kind} names no command`);
  const retries = fields.integer("Retries");
  if (retries < 0) throw new GantryError("invalid", "Retries in Healthcheck cannot be negative");
  return {
    Test: test,
    Interval: nanoseconds(fields, "Interval"),
    Timeout: nanoseconds(fields, "Timeout"),
    StartPeriod: nanoseconds(fields, "StartPeriod"),
    StartInterval: nanoseconds(fields, "StartInterval"),
    Retries: retries,
  };
}

function nanoseconds(fields: Fields, key: string): number {
  const value = fields.integer(key);
  if (value !== 0 && value < leastNanoseconds)
    throw new GantryError("invalid", `${key} in Healthcheck cannot be less than 1ms`);
  return value;
}
