/** A password from the keyboard, without showing it, or from stdin for scripts. */
import { CliError } from "./errors.ts";
import { printError } from "./output.ts";
import { isTerminal, RawKeyboard } from "./session/terminal.ts";

const maxChars = 1024;

/** The first line of stdin: `--password-stdin`. */
export async function secretFromStdin(): Promise<string> {
  let text = "";
  for await (const piece of Bun.stdin.stream().pipeThrough(new TextDecoderStream())) {
    text += piece;
    if (text.length > 4 * maxChars) throw new CliError("the password on stdin is too long");
  }
  return checked(text.replace(/\r?\n$/, ""));
}

/** Asks for an account: the name is shown as it is typed, the password is not. @throws {CliError} where there is no terminal */
export async function accountFromTerminal(
  known: string,
): Promise<{ readonly username: string; readonly password: string }> {
  if (!isTerminal(0))
    throw new CliError("Cannot perform an interactive login from a non TTY device", { bare: true });
  const username = known === "" ? await ask("Username: ", true) : known;
  if (username === "") throw new CliError("username is empty");
  return { username, password: checked(await ask("Password: ")) };
}

/** Asks twice. @throws {CliError} where there is no terminal to ask on */
export async function newSecretFromTerminal(what: string): Promise<string> {
  if (!isTerminal(0)) {
    throw new CliError("there is no terminal to ask for the password on", {
      hint: "give it on stdin with --password-stdin",
    });
  }
  const first = await ask(`${what}: `);
  if ((await ask("Again: ")) !== first) throw new CliError("the two are not the same");
  return checked(first);
}

async function ask(prompt: string, shown = false): Promise<string> {
  await printError(prompt);
  using keyboard = new RawKeyboard(true);
  let line = "";
  const decoder = new TextDecoder();
  for await (const piece of keyboard.keys()) {
    for (const letter of decoder.decode(piece, { stream: true })) {
      if (letter === "\r" || letter === "\n") {
        await printError("\r\n");
        return line;
      }
      if (letter === "\u0003" || letter === "\u0004") throw new CliError("", { exitCode: 130 });
      const before = line;
      if (letter === "\u007f" || letter === "\b") line = [...line].slice(0, -1).join("");
      else if (letter === "\u0015") line = "";
      else line += letter;
      if (shown) await printError(line.length > before.length ? letter : `\r\x1b[2K${prompt}${line}`);
    }
  }
  return line;
}

function checked(secret: string): string {
  if (secret === "") throw new CliError("the password is empty");
  if (secret.length > maxChars || /[\r\n\0]/.test(secret))
    throw new CliError("the password is too long, or of several lines");
  return secret;
}
