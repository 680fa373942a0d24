/**
 * The hidden word `internal tree`: a confined child that works on one tree. Reads its request and bytes on stdin, writes
 * bytes on stdout and one line of report on stderr. Ends when its pipes close, so that it never outlives the engine.
 */
import * as fs from "node:fs";
import { loadSys } from "../kernel/index.ts";
import { GantryError, toGantryError } from "../lib/index.ts";
import { type ChildReport, type ChildRequest, maxRequestBytes } from "./child-request.ts";
import { runJob } from "./child-jobs.ts";
import { enterScratch } from "./confine.ts";

/** Runs the whole child; the exit code is 0 when the report says ok. */
export function main(): number {
  let report: ChildReport;
  try {
    const request = readRequest();
    const sys = loadSys();
    enterScratch(sys, request.scratch);
    report = { ok: runJob(sys, request.work) };
  } catch (thrown) {
    const { code, message, hint, fields } = toGantryError(thrown);
    report = { error: { code, message, fields, ...(hint === undefined ? {} : { hint }) } };
  }
  fs.writeSync(2, `${JSON.stringify(report)}\n`);
  return "ok" in report ? 0 : 1;
}

function readRequest(): ChildRequest {
  const length = Buffer.from(readExactly(4)).readUInt32BE(0);
  if (length > maxRequestBytes) throw new GantryError("invalid", `a request of ${length} bytes is too long`);
  // Written by the engine that is this same program.
  return JSON.parse(Buffer.from(readExactly(length)).toString()) as ChildRequest;
}

function readExactly(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const count = fs.readSync(0, bytes, at, length - at, null);
    if (count === 0) throw new GantryError("canceled", "the engine closed the pipe");
    at += count;
  }
  return bytes;
}
