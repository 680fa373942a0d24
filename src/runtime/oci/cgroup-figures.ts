/** Numbers as the kernel's cgroup files hold them: 64 bits, which a JavaScript number cannot hold. Pure. */
import type { Json } from "./json-text.ts";

/** Reads a file of one of the container's cgroups, such as `("memory", "memory.stat")`; undefined when there is none. */
export type ReadFigure = (controller: string, file: string) => string | undefined;

/** What "max" stands for in runc's figures. */
export const unlimited = 2n ** 64n - 1n;

/** The whole number that a text is; 0 for anything else. Negative ones are 0, too, as runc shows them. */
export function figure(text: string | undefined): bigint {
  const word = text?.trim() ?? "";
  if (word === "max") return unlimited;
  return /^[0-9]+$/.test(word) ? BigInt(word) : 0n;
}

/** As `figure`, undefined for 0: Go leaves such fields out of the JSON. */
export function nonZero(value: bigint): bigint | undefined {
  return value === 0n ? undefined : value;
}

/** `key value` lines, in the order of their keys. */
export function figures(text: string | undefined): { readonly [key: string]: bigint } {
  const pairs: (readonly [string, bigint])[] = [];
  for (const line of (text ?? "").split("\n")) {
    const [key = "", value] = line.trim().split(/\s+/);
    if (key !== "" && value !== undefined) pairs.push([key, figure(value)]);
  }
  return Object.fromEntries(pairs.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** `some avg10=0.00 avg60=0.00 avg300=0.00 total=0` and `full …`. */
export function pressure(text: string | undefined): { readonly [key: string]: Json } | undefined {
  if (text === undefined) return undefined;
  const part = (kind: string): { readonly [key: string]: Json } => {
    const line = text.split("\n").find((row) => row.startsWith(`${kind} `)) ?? "";
    const value = (key: string): string => new RegExp(`${key}=([0-9.]+)`).exec(line)?.[1] ?? "0";
    return {
      avg10: Number(value("avg10")),
      avg60: Number(value("avg60")),
      avg300: Number(value("avg300")),
      total: figure(value("total")),
    };
  };
  return { some: part("some"), full: part("full") };
}

/** `0-2,4` as [0, 1, 2, 4]; at most 65,536 of them. */
export function expandList(text: string | undefined): readonly number[] {
  const all: number[] = [];
  for (const part of (text ?? "").trim().split(",")) {
    const [, low, high] = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(part) ?? [];
    if (low === undefined) continue;
    for (let value = Number(low); value <= Number(high ?? low) && all.length <= 0xffff; value++)
      all.push(value);
  }
  return all;
}
