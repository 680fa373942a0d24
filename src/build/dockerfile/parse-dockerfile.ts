/** From the text of a Dockerfile to stages of instructions. Nothing is expanded and nothing outside the text is looked at. */
import { GantryError } from "../../lib/index.ts";
import type { ArgInstruction, Dockerfile, FromInstruction, Instruction } from "./instruction.ts";
import { type LogicalLine, readLogicalLines } from "./logical-lines.ts";
import { parseInstruction } from "./parse-instruction.ts";
import { dockerfileError, SyntaxProblem } from "./source.ts";

/** A Dockerfile larger than this is refused, in UTF-16 units. */
const maxLength = 2 * 1024 * 1024;

interface OpenStage {
  readonly from: FromInstruction;
  readonly instructions: Instruction[];
}

function parseLine(source: string, line: LogicalLine, escape: string): Instruction | FromInstruction {
  try {
    return parseInstruction(line, escape);
  } catch (error) {
    if (!(error instanceof SyntaxProblem)) throw error;
    throw dockerfileError(source, line.positionAt(error.offset), error.message, error.hint);
  }
}

function checkStageName(source: string, stages: readonly OpenStage[], from: FromInstruction): void {
  if (from.name !== undefined && stages.some((s) => s.from.name === from.name)) {
    throw dockerfileError(
      source,
      from.range.start,
      `duplicate stage name ${JSON.stringify(from.name)}, stage names should be unique`,
    );
  }
}

/**
 * @param source the whole file
 * @throws {GantryError} "invalid", with line and column, on anything the Dockerfile reference does not allow
 */
export function parseDockerfile(source: string): Dockerfile {
  if (source.length > maxLength) {
    throw new GantryError(
      "invalid",
      `the Dockerfile has ${source.length} characters; at most ${maxLength} are read`,
    );
  }
  const { lines, escape, warnings } = readLogicalLines(source);
  const metaArgs: ArgInstruction[] = [];
  const stages: OpenStage[] = [];
  for (const line of lines) {
    const parsed = parseLine(source, line, escape);
    const stage = stages.at(-1);
    if (parsed.kind === "from") {
      checkStageName(source, stages, parsed);
      stages.push({ from: parsed, instructions: [] });
    } else if (stage !== undefined) stage.instructions.push(parsed);
    else if (parsed.kind === "arg") metaArgs.push(parsed);
    else
      throw dockerfileError(
        source,
        parsed.range.start,
        "no build stage in current context",
        "start the Dockerfile with FROM",
      );
  }
  if (stages.length === 0) {
    if (lines.length === 0)
      throw dockerfileError(
        source,
        { line: 1, column: 1 },
        "file with no instructions",
        "start the Dockerfile with FROM",
      );
    throw dockerfileError(
      source,
      { line: lines.at(-1)?.endLine ?? 1, column: 1 },
      "no build stage in current context",
      "add a FROM instruction",
    );
  }
  return { source, escape, metaArgs, stages, warnings };
}

/**
 * Parses one ONBUILD trigger of a base image.
 * @throws {GantryError} "invalid" when it is not exactly one instruction
 */
export function parseTrigger(trigger: string): Instruction {
  const { lines, escape } = readLogicalLines(trigger);
  const line = lines[0];
  if (line === undefined || lines.length !== 1) {
    throw new GantryError(
      "invalid",
      `onbuild trigger should be a single expression: ${JSON.stringify(trigger.slice(0, 200))}`,
    );
  }
  const parsed = parseLine(trigger, line, escape);
  if (parsed.kind !== "from" && parsed.kind !== "onbuild" && parsed.kind !== "maintainer") return parsed;
  throw new GantryError("invalid", `${parsed.kind.toUpperCase()} isn't allowed as an ONBUILD trigger`);
}
