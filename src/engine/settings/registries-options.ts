/** What the settings say of registries, as their room takes it. */
import type { RegistriesOptions } from "../../distribution/index.ts";
import { engineVersion } from "../api/machine.ts";
import type { LiveSettings } from "./engine-settings.ts";

/** Proxies of the settings go before those of the environment. */
export function registriesOptions({ registries, proxies, transfers }: LiveSettings): RegistriesOptions {
  const given = { HTTP_PROXY: proxies.http, HTTPS_PROXY: proxies.https, NO_PROXY: proxies.no };
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ""));
  return {
    config: registries,
    userAgent: `gantry/${engineVersion}`,
    environment: { ...process.env, ...set },
    attempts: transfers.attempts,
    uploads: transfers.uploads,
  };
}
