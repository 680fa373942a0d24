/** A container's check, completed by its image's (moby runconfig/merge.go). Pure. */
import type { Healthcheck } from "../container.ts";

export function mergeHealthcheck(
  own: Healthcheck | undefined,
  image: Partial<Healthcheck> | undefined,
): Healthcheck | undefined {
  if (image === undefined) return own;
  return {
    Test: own === undefined || own.Test.length === 0 ? (image.Test ?? []) : own.Test,
    Interval: own?.Interval || image.Interval,
    Timeout: own?.Timeout || image.Timeout,
    StartPeriod: own?.StartPeriod || image.StartPeriod,
    StartInterval: own?.StartInterval || image.StartInterval,
    Retries: own?.Retries || image.Retries,
  };
}
