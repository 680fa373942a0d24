/** Every setting of `gantry registry serve`: its flag, its key in the configuration file, its kind. A flat catalogue. */
import { parseRate } from "../guards/token-bucket.ts";
import { parseAddress, parsePeriod, parseSize } from "./values.ts";

export interface Setting {
  readonly kind: "text" | "bool" | "list";
  readonly help: string;
  readonly preset?: string;
  /** Throws for what is no value of it. */
  readonly check?: (text: string) => unknown;
  /** Takes effect on SIGHUP; the others when the registry starts. */
  readonly reloads?: true;
}

const url = (text: string): void => {
  const parsed = URL.parse(text);
  if (
    parsed === null ||
    !["http:", "https:"].includes(parsed.protocol) ||
    parsed.pathname !== "/" ||
    parsed.search !== ""
  )
    throw new Error("it is no origin such as https://registry.example");
};

const cron = (text: string): void => {
  if (text !== "" && Bun.cron.parse(text) === null) throw new Error("it never comes");
};

const authModes = ["auto", "accounts", "none"];

export const settings = {
  addr: {
    kind: "text",
    preset: "127.0.0.1:5000",
    check: parseAddress,
    help: "Address to listen on (HOST:PORT)",
  },
  database: {
    kind: "text",
    help: "PostgreSQL for the metadata (postgres://USER@HOST/DB); else SQLite below root",
  },
  s3: { kind: "text", help: "Bucket for the blobs (s3://BUCKET/PREFIX); else files below root" },
  "s3-endpoint": { kind: "text", help: "Server of the bucket, where it is not Amazon's (https://HOST:PORT)" },
  "s3-region": { kind: "text", help: "Region of the bucket" },
  "s3-credentials": {
    kind: "text",
    help: "AWS credentials file; else AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
  },
  "s3-redirect": { kind: "bool", help: "Send clients to the bucket for blobs, by signed addresses" },
  blobs: { kind: "text", help: "Directory of the blobs, shared by several instances; else ROOT" },
  "gc-grace": {
    kind: "text",
    preset: "1h",
    check: parsePeriod,
    help: "How long the collector leaves alone what was uploaded, mounted or asked for",
  },
  "upload-age": {
    kind: "text",
    preset: "24h",
    check: parsePeriod,
    help: "When an upload that nobody goes on with is given up",
  },
  root: {
    kind: "text",
    preset: "/var/lib/gantry-registry",
    help: "Directory of blobs, database, keys and logs",
  },
  "external-url": {
    kind: "text",
    check: url,
    help: "Where clients find the registry, behind a proxy (https://registry.example)",
  },
  "tls-cert": { kind: "text", help: "Certificate chain (PEM); read again when the file changes" },
  "tls-key": { kind: "text", help: "Private key of the certificate (PEM)" },
  "acme-name": { kind: "list", help: "Name to have a certificate for from an ACME server" },
  "acme-directory": {
    kind: "text",
    help: "Address of the ACME server's directory; Let's Encrypt without",
  },
  "acme-email": { kind: "text", help: "Where the ACME server may write to" },
  "acme-ca": { kind: "text", help: "CA (PEM) of an ACME server of your own" },
  "acme-http-addr": {
    kind: "text",
    preset: ":80",
    check: parseAddress,
    help: "Where http-01 challenges are answered",
  },
  "trusted-proxy": { kind: "list", help: "Address of a proxy whose X-Forwarded-For names the client" },
  "insecure-http": { kind: "bool", help: "Serve plain HTTP on other addresses than loopback" },
  auth: {
    kind: "text",
    preset: "auto",
    check: (text) => {
      if (!authModes.includes(text)) throw new Error(`it is none of ${authModes.join(", ")}`);
    },
    help: "Who may come in: accounts, none, or auto (accounts as soon as there is one)",
  },
  "anonymous-push": { kind: "bool", help: "Let everybody push and delete, on any address" },
  service: {
    kind: "text",
    preset: "gantry-registry",
    check: (text) => {
      if (!/^[A-Za-z0-9._:/-]{1,128}$/.test(text))
        throw new Error("letters, digits and . _ : / - are allowed");
    },
    help: "Name of the token service",
  },
  "rate-pull": {
    kind: "text",
    check: parseRate,
    reloads: true,
    help: "Reading requests a client (600/m); no limit without",
  },
  "rate-push": { kind: "text", check: parseRate, reloads: true, help: "Writing requests a client (600/m)" },
  "rate-login": {
    kind: "text",
    check: parseRate,
    reloads: true,
    help: "Requests for tokens an address; wrong passwords are slowed down anyway",
  },
  "max-manifest": { kind: "text", preset: "4m", check: parseSize, help: "Largest manifest" },
  sparse: { kind: "bool", help: "Take an index whose manifests are not all here" },
  upstream: {
    kind: "list",
    help: "Registry that names below a prefix are fetched from and cached (docker.io=docker.io; =docker.io: all)",
  },
  "upstream-credentials": {
    kind: "text",
    help: "Directory of a docker config.json with logins for upstreams",
  },
  "upstream-ttl": {
    kind: "text",
    preset: "5m",
    check: parsePeriod,
    help: "How long a cached tag is believed",
  },
  "upstream-max": {
    kind: "text",
    check: parseSize,
    help: "Bytes of cached blobs an upstream; no limit without",
  },
  "metrics-addr": {
    kind: "text",
    check: parseAddress,
    help: "Serve /metrics, without any login, on this address",
  },
  "audit-pulls": { kind: "bool", help: "Note pulls in the audit log, too" },
  "retention-schedule": {
    kind: "text",
    check: cron,
    help: 'When retention runs (cron: "0 3 * * *"); never without',
  },
  grace: {
    kind: "text",
    preset: "30s",
    check: parsePeriod,
    help: "How long running requests may take at the end",
  },
  debug: { kind: "bool", help: "Log more" },
} as const satisfies Readonly<Record<string, Setting>>;

export type SettingName = keyof typeof settings;

export const settingEntries: readonly (readonly [SettingName, Setting])[] = Object.keys(settings)
  .filter(isSettingName)
  .map((name) => [name, settings[name]]);

export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(settings, name);
}

export function settingOf(name: SettingName): Setting {
  return settings[name];
}
