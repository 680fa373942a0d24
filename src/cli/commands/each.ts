/** One action on each of several names: what works is done and printed, what fails is reported, as docker has it. */
import { CliError } from "../errors.ts";
import { print, printError } from "../output.ts";

/** @param act returns what to print of a success, or nothing. @returns the exit code: 1 when one of them failed */
export async function each(
  names: readonly string[],
  act: (name: string) => Promise<string | undefined>,
): Promise<number> {
  // At most a few at a time, and reported in the order given.
  const running: Promise<Outcome>[] = [];
  let code = 0;
  for (let i = 0; i < names.length; i++) {
    while (running.length < names.length && running.length < i + atOnce) {
      running.push(attempt(act, names[running.length] ?? ""));
    }
    const outcome = await running[i];
    if (outcome?.error !== undefined) {
      code = 1;
      const hint = outcome.error.hint === undefined ? "" : `hint: ${outcome.error.hint}\n`;
      await printError(`gantry: ${outcome.error.message}\n${hint}`);
    } else if (outcome?.text !== undefined) await print(`${outcome.text}\n`);
  }
  return code;
}

const atOnce = 50;

interface Outcome {
  readonly text?: string | undefined;
  readonly error?: CliError;
}

async function attempt(act: (name: string) => Promise<string | undefined>, name: string): Promise<Outcome> {
  try {
    return { text: await act(name) };
  } catch (error) {
    if (error instanceof CliError) return { error };
    throw error;
  }
}
