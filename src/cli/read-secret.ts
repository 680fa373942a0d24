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
  using questions = new Questions();
  const username = known === "" ? await questions.ask("Username: ", true) : known;
  if (username === "") throw new CliError("username is empty");
  return { username, password: checked(await questions.ask("Password: ")) };
}

/** Asks twice. @throws {CliError} where there is no terminal to ask on */
export async function newSecretFromTerminal(what: string): Promise<string> {
  if (!isTerminal(0)) {
    throw new CliError("there is no terminal to ask for the password on", {
      hint: "give it on stdin with --password-stdin",
    });
  }
  using questions = new Questions();
  const first = await questions.ask(`${what}: `);
  if ((await questions.ask("Again: ")) !== first) throw new CliError("the two are not the same");
  return checked(first);
}

/** Questions to one keyboard: a second one would find its terminal closed by the first. */
class Questions implements Disposable {
  readonly #keyboard = new RawKeyboard(true);
  readonly #lines = this.#read();
  #echo = false;

  async ask(prompt: string, echo = false): Promise<string> {
    this.#echo = echo;
    await printError(prompt);
    const { value } = await this.#lines.next();
    await printError("\r\n");
    return value ?? "";
  }

  /** Lines as they are typed, corrected by backspace and ctrl-u; ctrl-c ends the program. */
  async *#read(): AsyncGenerator<string, undefined> {
    const decoder = new TextDecoder();
    let line = "";
    for await (const piece of this.#keyboard.keys()) {
      for (const letter of decoder.decode(piece, { stream: true })) {
        if (letter === "\r" || letter === "\n") {
          yield line;
          line = "";
          continue;
        }
        const before = line;
        line = edited(line, letter);
        if (this.#echo)
          await printError(
            line.length > before.length ? letter : "\b \b".repeat(before.length - line.length),
          );
      }
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    this.#keyboard[Symbol.dispose]();
  }
}

function edited(line: string, letter: string): string {
  switch (letter) {
    case "\u0003":
    case "\u0004":
      throw new CliError("", { exitCode: 130 });
    case "\u007f":
    case "\b":
      return [...line].slice(0, -1).join("");
    case "\u0015":
      return "";
    default:
      return line + letter;
  }
}

function checked(secret: string): string {
  if (secret === "") throw new CliError("the password is empty");
  if (secret.length > maxChars || /[\r\n\0]/.test(secret))
    throw new CliError("the password is too long, or of several lines");
  return secret;
}
