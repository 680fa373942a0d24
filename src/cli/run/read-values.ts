/** Checks of single flag values of run and create, in docker's words. Pure but for the environment of `readEnv`. */
import { FlagError } from "../errors.ts";

/** True for an IPv4 or IPv6 address. */
export function isAddress(text: string): boolean {
  const v4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (v4 !== null) return v4.slice(1).every((part) => Number(part) <= 255);
  return text.includes(":") && /^[0-9a-fA-F:.]+$/.test(text) && URL.canParse(`http://[${text}]/`);
}

export function readAddHost(text: string): string {
  const at = text.search(/[=:]/);
  if (at <= 0) throw new FlagError(`bad format for add-host: ${JSON.stringify(text)}`);
  const value = text.slice(at + 1);
  const address = /^\[.*\]$/.test(value) ? value.slice(1, -1) : value;
  if (address !== "host-gateway" && !isAddress(address)) {
    throw new FlagError(`invalid IP address in add-host: ${JSON.stringify(value)}`);
  }
  return `${text.slice(0, at)}:${address}`;
}

export function readAttach(text: string): string {
  const stream = text.toLowerCase();
  if (!["stdin", "stdout", "stderr"].includes(stream))
    throw new FlagError("valid streams are STDIN, STDOUT and STDERR");
  return stream;
}

export function readDns(text: string): string {
  const address = text.trim();
  if (!isAddress(address)) throw new FlagError(`IP address is not correctly formatted: ${text}`);
  return address;
}

export function readDnsSearch(text: string): string {
  const domain = text.trim();
  if (domain === ".") return domain;
  const valid =
    /^(?!-)[a-zA-Z0-9_-]{1,63}(?<!-)(\.(?!-)[a-zA-Z0-9_-]{1,63}(?<!-))*\.?$/.test(domain) &&
    /[a-zA-Z]/.test(domain) &&
    domain.length < 255;
  if (!valid) throw new FlagError(`${text} is not a valid domain`);
  return domain;
}

/** A bare name takes its value from our own environment; one that is not set there is sent bare: it unsets. */
export function readEnv(text: string): string {
  const at = text.indexOf("=");
  if (text === "" || at === 0) throw new FlagError(`invalid environment variable: ${text}`);
  if (at > 0) return text;
  const value = process.env[text];
  return value === undefined ? text : `${text}=${value}`;
}

export function readLabel(text: string): string {
  if (text === "" || text.startsWith("=")) throw new FlagError(`invalid label '${text}': empty name`);
  return text;
}

const sysctls = new Set(
  ["msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced"].map(
    (name) => `kernel.${name}`,
  ),
);

export function readSysctl(text: string): string {
  const at = text.indexOf("=");
  const key = at < 0 ? "" : text.slice(0, at);
  if (!sysctls.has(key) && !key.startsWith("net.") && !key.startsWith("fs.mqueue.")) {
    throw new FlagError(`sysctl '${text}' is not allowed`);
  }
  return text;
}
