/** Values of flags and of the configuration file: sizes, durations, addresses. Pure. */
import { isIP } from "node:net";
import { GantryError } from "../../lib/index.ts";

const powers: Readonly<Record<string, number>> = { "": 0, k: 1, m: 2, g: 3, t: 4, p: 5 };

/** `512m`, `10GB`, `1.5TiB`: 1024 is the base, as everywhere in docker. @throws {GantryError} "invalid" */
export function parseSize(text: string): number {
  const match = /^([0-9]+(?:\.[0-9]+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(text);
  const power = powers[(match?.[2] ?? "").toLowerCase()];
  if (match === null || power === undefined)
    throw new GantryError("invalid", `${JSON.stringify(text)} is no size`, {
      hint: "for example 512m, 10g, 1.5t",
    });
  return Math.trunc(Number(match[1]) * 1024 ** power);
}

const units: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** Milliseconds of `90s`, `1h30m`, `30d`. @throws {GantryError} "invalid" */
export function parsePeriod(text: string): number {
  const pieces = [...text.matchAll(/([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d|w)/g)];
  if (pieces.length === 0 || pieces.map(([piece]) => piece).join("") !== text)
    throw new GantryError("invalid", `${JSON.stringify(text)} is no period`, {
      hint: "for example 90s, 12h, 30d",
    });
  return Math.round(
    pieces.reduce((sum, [, count, unit]) => sum + Number(count) * (units[unit ?? ""] ?? 0), 0),
  );
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** `127.0.0.1:5000`, `[::1]:5000`, `:5000` (all addresses). @throws {GantryError} "invalid" */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):([0-9]{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535)
    throw new GantryError("invalid", `${JSON.stringify(text)} is no address to listen on`, {
      hint: "HOST:PORT, for example 127.0.0.1:5000, [::1]:5000 or :5000 for all",
    });
  const host = match[1] ?? match[2] ?? "";
  return { host: host === "" ? "::" : host, port };
}

export function printAddress({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** True for addresses that only this machine reaches. */
export function isLoopbackHost(host: string): boolean {
  if (isIP(host) === 4) return host.startsWith("127.");
  return host === "::1" || host === "localhost";
}
