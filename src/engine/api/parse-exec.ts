/** POST /containers/{id}/exec and /exec/{id}/start: the bodies as Docker clients send them. Pure. */
import { GantryError } from "../../lib/index.ts";
import type { ExecConfig } from "../execs/exec.ts";
import { parseDetachKeys } from "./detach-keys.ts";
import { Fields } from "./json-fields.ts";
import { type ApiVersion, isBefore, latest } from "./version-gates.ts";

/** @throws {GantryError} "invalid" with the field's name; "unsupported" for a field that is set and not honoured */
export function parseExec(body: unknown, version: ApiVersion = latest): ExecConfig {
  const fields = new Fields(body, "");
  const config: ExecConfig = {
    cmd: fields.strings("Cmd"),
    env: fields.strings("Env").map(checkEnv),
    user: fields.string("User"),
    workingDir: fields.string("WorkingDir"),
    tty: fields.boolean("Tty"),
    privileged: fields.boolean("Privileged"),
    attachStdin: fields.boolean("AttachStdin"),
    attachStdout: fields.boolean("AttachStdout"),
    attachStderr: fields.boolean("AttachStderr"),
    detachKeys: fields.string("DetachKeys"),
    consoleSize: isBefore(version, [1, 42]) ? [0, 0] : consoleSize(fields),
  };
  if (config.cmd.length === 0) throw new GantryError("invalid", "No exec command specified");
  parseDetachKeys(config.detachKeys);
  return config;
}

function checkEnv(entry: string): string {
  if (entry === "" || entry.startsWith("=") || entry.includes("\0")) {
    throw new GantryError("invalid", `invalid environment variable: ${entry.slice(0, 200)}`);
  }
  return entry;
}

export interface ExecStartRequest {
  readonly detach: boolean;
  readonly tty: boolean;
  /** 0 by 0: not told. */
  readonly rows: number;
  readonly cols: number;
}

/** @throws {GantryError} "invalid" with the field's name */
export function parseExecStart(body: unknown): ExecStartRequest {
  const fields = new Fields(body, "");
  const [rows, cols] = consoleSize(fields);
  return { detach: fields.boolean("Detach"), tty: fields.boolean("Tty"), rows, cols };
}

function consoleSize(fields: Fields): readonly [rows: number, cols: number] {
  const size = fields.raw("ConsoleSize");
  const [rows, cols]: unknown[] = Array.isArray(size) ? size : [];
  return [terminalSide(rows), terminalSide(cols)];
}

/** Rows or columns of a terminal: what is no sensible number means "not told". */
export function terminalSide(value: unknown): number {
  return typeof value === "number" && Number.isInteger(value) && value > 0 && value <= 0xffff ? value : 0;
}
