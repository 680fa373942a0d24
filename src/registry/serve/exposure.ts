/** What may be reached from other machines must have been meant to be. Pure. */
import { GantryError } from "../../lib/index.ts";
import { isLoopbackHost } from "../config/values.ts";

export interface Exposure {
  readonly host: string;
  readonly tls: boolean;
  readonly insecureHttp: boolean;
  /** Whether accounts decide who may do what. */
  readonly accounts: boolean;
  readonly anonymousPush: boolean;
}

/** @throws {GantryError} "denied", saying what to do */
export function checkExposure({ host, tls, insecureHttp, accounts, anonymousPush }: Exposure): void {
  if (isLoopbackHost(host)) return;
  if (!tls && !insecureHttp) {
    throw new GantryError(
      "denied",
      `other machines reach ${host}, and passwords would cross the network in clear`,
      {
        hint: "give it --tls-cert and --tls-key, or --acme-name; or say --insecure-http when a proxy in front does TLS",
      },
    );
  }
  if (!accounts && !anonymousPush) {
    throw new GantryError(
      "denied",
      `other machines reach ${host}, and everybody could push and delete there`,
      {
        hint: "make an account first: gantry registry user add --admin NAME; or say --anonymous-push",
      },
    );
  }
}
