/** Names that come from upstream are not pushed to: what is pushed there would hide upstream's or be hidden by it. */
import { RegistryError } from "./errors.ts";
import type { Guard, Upstream } from "./types.ts";

export function upstreamGuard(upstreams: readonly Upstream[]): Guard {
  return {
    write(_context, repository) {
      if (upstreams.some((upstream) => upstream.serves(repository)))
        throw new RegistryError(
          "DENIED",
          `${repository} is a cache of another registry: push there instead`,
          {
            status: 405,
          },
        );
    },
  };
}
