/** Calls that may fail to start a program. */
import { GantryError, toGantryError } from "../../lib/index.ts";
import { startMessage } from "./errors.ts";

/** Runs `call`; its failure comes in words from which Docker's client makes the right exit code. */
export async function inStartWords<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (thrown) {
    const { code, message, hint, fields } = toGantryError(thrown);
    throw new GantryError(code, startMessage(code, message), {
      cause: thrown,
      fields,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}
