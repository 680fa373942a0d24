/** What a server says to whoever has started it: where it is, who may do what, how to go on. Pure. */

export interface Welcome {
  /** `http://127.0.0.1:5000` */
  readonly address: string;
  /** As clients write it; empty: as `address`. */
  readonly externalUrl: string;
  readonly root: string;
  /** What commands need to find its records: ` --root DIR`. */
  readonly place: string;
  /** How many may log in; undefined: nobody is asked. */
  readonly accounts: number | undefined;
  /** Only this machine reaches it. */
  readonly loopback: boolean;
  readonly readOnly: string | undefined;
  /** `docker.io=docker.io` */
  readonly upstreams: readonly string[];
}

export function printWelcome(welcome: Welcome): string {
  const { address, root, readOnly, upstreams } = welcome;
  const host = hostOf(welcome);
  const lines = [
    `Registry at ${address}, its files in ${root}`,
    ...whoMay(welcome, host),
    ...upstreams.map((upstream) => mirrorOf(upstream, host)),
    ...(readOnly === undefined ? [] : [`Nothing is pushed or deleted for now: ${readOnly || "read-only"}`]),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

function whoMay(welcome: Welcome, host: string): readonly string[] {
  const { accounts, loopback, place } = welcome;
  const add = `gantry registry user add --admin NAME${place}`;
  if (accounts === undefined)
    return [
      `Everybody ${loopback ? "on this machine" : "who reaches it"} may pull, push and delete; to ask for logins: ${add}, and start again`,
      `Push:    docker tag IMAGE ${host}/NAME && docker push ${host}/NAME`,
    ];
  if (accounts === 0) return [`Nobody may come in yet: ${add}`];
  return [`Accounts decide who may do what: gantry registry rights${place}`, `Log in:  docker login ${host}`];
}

function mirrorOf(upstream: string, host: string): string {
  const at = upstream.indexOf("=");
  const [prefix, server] = [upstream.slice(0, at), upstream.slice(at + 1)];
  return `Mirror:  ${host}/${prefix === "" ? "" : `${prefix}/`}NAME is NAME of ${server}`;
}

/** What stands before the first slash of an image's name. */
function hostOf({ address, externalUrl, loopback }: Welcome): string {
  const host = (externalUrl === "" ? address : externalUrl).replace(/^https?:\/\//, "").replace(/\/$/, "");
  const port = /:(\d+)$/.exec(host)?.[1] ?? "";
  if (externalUrl !== "") return host;
  // Docker takes localhost without TLS; [::] is no name at all.
  if (loopback) return `localhost:${port}`;
  return /^(\[::\]|0\.0\.0\.0):/.test(host) ? `THIS-HOST:${port}` : host;
}
