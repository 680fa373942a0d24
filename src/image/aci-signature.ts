/**
 * Detached OpenPGP signatures, checked by GnuPG's `gpgv`: against the given keys and no others, without the user's key
 * rings, agent or network. Why not a library: docs/dependencies.md.
 */
import * as fs from "node:fs";
import { GantryError } from "../lib/index.ts";
import { throwIfAborted } from "./child.ts";

export interface SignatureCheck {
  /** The signed file. */
  readonly path: string;
  /** Armored or binary. */
  readonly signature: Uint8Array;
  /** One or several public keys, armored or binary. */
  readonly keys: Uint8Array;
  /** An existing directory for the files that gpgv is given; what is put there is removed again. */
  readonly temporary: string;
  readonly signal?: AbortSignal | undefined;
}

const armor = /-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n([^]*?)-----END PGP PUBLIC KEY BLOCK-----/g;

/**
 * The fingerprint of the key that has signed.
 * @throws {GantryError} "denied" for a bad signature, another key, or one that has expired or been revoked; "unsupported"
 *   without gpgv; "invalid" for what is no key
 */
export async function verifySignature(check: SignatureCheck): Promise<string> {
  const gpgv = Bun.which("gpgv");
  if (gpgv === null)
    throw new GantryError("unsupported", "cannot check the signature: the program gpgv is not installed", {
      hint: "install it first: apt-get install gpgv",
    });
  const dir = fs.mkdtempSync(`${check.temporary}/gpgv-`);
  try {
    fs.writeFileSync(`${dir}/keys`, dearmored(check.keys));
    fs.writeFileSync(`${dir}/signature`, check.signature);
    const files = ["--keyring", `${dir}/keys`, `${dir}/signature`, check.path];
    const child = Bun.spawn([gpgv, "--status-fd", "1", "--homedir", dir, ...files], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { PATH: "/usr/bin:/bin", LC_ALL: "C", GNUPGHOME: dir },
    });
    const stop = (): void => child.kill("SIGKILL");
    check.signal?.addEventListener("abort", stop, { once: true });
    const [status, words, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    check.signal?.removeEventListener("abort", stop);
    throwIfAborted(check.signal);
    return verdict({ status, words, ended: child.signalCode === null && code === 0 });
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

/** gpgv wants binary key rings; several armored keys may stand one after the other. */
function dearmored(keys: Uint8Array): Uint8Array {
  const text = Buffer.from(keys).toString("latin1");
  if (!text.includes("-----BEGIN PGP")) return keys;
  const blocks = [...text.matchAll(armor)].map(([, body = ""]) => {
    // Headers, an empty line, base64, and a checksum that begins with "=", as the last line.
    const lines = body.split(/\r?\n/);
    const start = lines.findIndex((line) => line.trim() === "") + 1;
    return Buffer.from(
      lines
        .slice(start)
        .filter((line) => !line.startsWith("="))
        .join(""),
      "base64",
    );
  });
  if (blocks.length === 0)
    throw new GantryError("invalid", "the trusted keys hold no OpenPGP public key", {
      hint: "export one with: gpg --armor --export NAME",
    });
  return Buffer.concat(blocks);
}

const refusals: readonly (readonly [status: string, why: string])[] = [
  ["BADSIG", "the signature is bad: the file is not what was signed"],
  ["REVKEYSIG", "the key that signed has been revoked"],
  ["EXPKEYSIG", "the key that signed has expired"],
  ["EXPSIG", "the signature has expired"],
  ["NO_PUBKEY", "it was signed by a key that is not among the trusted ones"],
  ["ERRSIG", "the signature cannot be checked"],
];

interface GpgvAnswer {
  readonly status: string;
  readonly words: string;
  /** gpgv went through to its end and found nothing wrong: what it had said before a crash is no verdict. */
  readonly ended: boolean;
}

/**
 * One refusal outweighs any approval: a file with several signatures must have them all good.
 * @returns the fingerprint of the key
 */
export function verdict({ status, words, ended }: GpgvAnswer): string {
  const prefix = "[GNUPG:] ";
  const lines = status
    .split("\n")
    .flatMap((line) => (line.startsWith(prefix) ? [line.slice(prefix.length).split(" ")] : []));
  const has = (word: string): readonly string[] | undefined => lines.find(([first]) => first === word);
  const refusal = refusals.find(([word]) => has(word) !== undefined);
  const valid = has("VALIDSIG");
  const isGood = refusal === undefined && valid !== undefined && has("GOODSIG") !== undefined;
  if (ended && isGood) return valid[1] ?? "";
  const why = refusal?.[1] ?? (isGood ? "gpgv did not come to its end" : "it is no signature of the file");
  const last = words.trim().split("\n").at(-1)?.slice(0, 300) ?? "";
  throw new GantryError("denied", `the signature of the image was refused: ${why}`, {
    hint: `gpgv says: ${last}`,
  });
}
