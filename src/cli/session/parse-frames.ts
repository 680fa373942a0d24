/** The JSON payloads of a joined session, read with care: they cross a socket. Pure. */
import { CliError } from "../errors.ts";

export interface Created {
  readonly id: string;
  readonly warnings: readonly string[];
}

export function parseCreatedFrame(bytes: Uint8Array): Created {
  const fields = parseObject(bytes);
  const warnings = fields["Warnings"];
  return { id: text(fields["Id"]), warnings: Array.isArray(warnings) ? warnings.map(text) : [] };
}

export function parseErrorFrame(bytes: Uint8Array): CliError {
  const fields = parseObject(bytes);
  const hint = text(fields["hint"]);
  const exitCode = fields["exitCode"];
  const status = fields["statusCode"];
  return new CliError(text(fields["message"]) || "the engine failed without saying why", {
    hint: hint === "" ? undefined : hint,
    ...(typeof status === "number" ? { status } : {}),
    ...(typeof exitCode === "number" && exitCode > 0 ? { exitCode } : {}),
  });
}

/** The program's exit code. @throws {CliError} when the engine lost track of it */
export function parseExitFrame(bytes: Uint8Array): number {
  const fields = parseObject(bytes);
  const error = text(fields["Error"]);
  if (error !== "") throw new CliError(error);
  return Number(fields["StatusCode"] ?? 0);
}

function parseObject(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // Falls through: what is not JSON is as wrong as what is no object.
  }
  throw new CliError("the engine sent a frame that is no JSON object");
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
