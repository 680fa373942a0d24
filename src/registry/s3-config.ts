/** Where the bucket is and who we are there. */
import { readFileSync } from "node:fs";
import { GantryError, messageOf } from "../lib/index.ts";
import type { Credentials } from "./s3-signature.ts";

export interface S3Config {
  /** `s3://BUCKET[/PREFIX]` */
  readonly bucket: string;
  /** `https://HOST[:PORT]`; without, Amazon's address of the region. */
  readonly endpoint?: string | undefined;
  /** Default: $AWS_REGION, $AWS_DEFAULT_REGION, us-east-1. */
  readonly region?: string | undefined;
  /** `HOST/BUCKET/KEY` instead of `BUCKET.HOST/KEY`. Default: true with an endpoint of one's own. */
  readonly pathStyle?: boolean | undefined;
  /** An AWS credentials file; without, the environment, then $AWS_SHARED_CREDENTIALS_FILE, then ~/.aws/credentials. */
  readonly credentialsFile?: string | undefined;
  readonly profile?: string | undefined;
  readonly credentials?: Credentials | undefined;
}

export interface S3Place {
  /** Ends in a slash; keys are appended. */
  readonly base: URL;
  readonly region: string;
  /** "" or what all keys begin with, ending in a slash. */
  readonly prefix: string;
  /** `s3://BUCKET/PREFIX` for messages. */
  readonly name: string;
  readonly credentials: Credentials;
}

type Env = Readonly<Record<string, string | undefined>>;

/** @throws {GantryError} "invalid" for a wrong address, "denied" when there are no credentials */
export function s3Place(config: S3Config, env: Env = process.env): S3Place {
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([A-Za-z0-9!_.*'()/-]*))?$/.exec(
    config.bucket,
  );
  const bucket = match?.[1];
  if (bucket === undefined)
    throw new GantryError("invalid", `${JSON.stringify(config.bucket)} is no address of a bucket`, {
      hint: "write it as s3://BUCKET or s3://BUCKET/PREFIX",
    });
  const folders = (match?.[2] ?? "").split("/").filter((folder) => folder !== "");
  if (folders.some((folder) => folder === "." || folder === ".."))
    throw new GantryError("invalid", `${config.bucket}: a prefix has no "." and ".."`);
  const region = config.region ?? env["AWS_REGION"] ?? env["AWS_DEFAULT_REGION"] ?? "us-east-1";
  const endpoint = config.endpoint ?? env["AWS_ENDPOINT_URL_S3"] ?? env["AWS_ENDPOINT_URL"];
  const host = endpointOf(endpoint ?? `https://s3.${region}.amazonaws.com`);
  const pathStyle = config.pathStyle ?? (endpoint !== undefined || bucket.includes("."));
  const base = new URL(host);
  if (pathStyle) base.pathname = `${base.pathname.replace(/\/$/, "")}/${bucket}/`;
  else base.hostname = `${bucket}.${base.hostname}`;
  return {
    base,
    region,
    prefix: folders.map((folder) => `${folder}/`).join(""),
    name: ["s3:/", bucket, ...folders].join("/"),
    credentials: config.credentials ?? credentialsOf(config, env),
  };
}

function endpointOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url?.username === "" && url.password === "" && url.search === "" && url.hash === "";
  if (url === undefined || !isPlain || (url.protocol !== "https:" && url.protocol !== "http:"))
    throw new GantryError(
      "invalid",
      "the endpoint of S3 is no https:// or http:// address without credentials",
      {
        hint: "write it as https://HOST:PORT",
      },
    );
  return url;
}

function credentialsOf(config: S3Config, env: Env): Credentials {
  const accessKeyId = env["AWS_ACCESS_KEY_ID"];
  const secretAccessKey = env["AWS_SECRET_ACCESS_KEY"];
  if (config.credentialsFile === undefined && accessKeyId !== undefined && secretAccessKey !== undefined)
    return { accessKeyId, secretAccessKey, sessionToken: env["AWS_SESSION_TOKEN"] };
  const path =
    config.credentialsFile ?? env["AWS_SHARED_CREDENTIALS_FILE"] ?? `${env["HOME"] ?? ""}/.aws/credentials`;
  return fromFile(path, config.profile ?? env["AWS_PROFILE"] ?? "default");
}

function fromFile(path: string, profile: string): Credentials {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new GantryError("denied", `no credentials for S3: ${messageOf(error)}`, {
      cause: error,
      hint: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write a credentials file",
    });
  }
  const values = new Map<string, string>();
  let section = "";
  for (const line of text.split("\n")) {
    section = /^\s*\[\s*(.*?)\s*\]/.exec(line)?.[1] ?? section;
    const [, key, value] = /^\s*([a-z_]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (section === profile && key !== undefined && value !== undefined) values.set(key, value);
  }
  const accessKeyId = values.get("aws_access_key_id");
  const secretAccessKey = values.get("aws_secret_access_key");
  if (accessKeyId === undefined || secretAccessKey === undefined)
    throw new GantryError("denied", `${path} has no key of profile ${profile}`, {
      hint: "it needs aws_access_key_id and aws_secret_access_key",
    });
  return { accessKeyId, secretAccessKey, sessionToken: values.get("aws_session_token") };
}
