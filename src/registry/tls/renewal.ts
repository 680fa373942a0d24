/** When a certificate is renewed: after two thirds of its life, and again with growing patience while that fails. */
import { type Logger, messageOf } from "../../lib/index.ts";
import { type Certificate, needsRenewal, renewalMs } from "./certificates.ts";

export interface RenewalOptions {
  readonly order: () => Promise<Certificate>;
  readonly onCertificate: (certificate: Certificate) => void;
  readonly logger: Logger;
  readonly now?: (() => number) | undefined;
  /** @returns ends it */
  readonly wake?: ((work: () => void, ms: number) => () => void) | undefined;
}

const firstRetryMs = 30_000;
const longestRetryMs = 6 * 3600_000;
/** setTimeout counts no further; and a machine that slept is noticed. */
const longestNapMs = 12 * 3600_000;

export class Renewal {
  readonly #options: RenewalOptions;
  readonly #now: () => number;
  readonly #wake: (work: () => void, ms: number) => () => void;
  #cancel: () => void = () => undefined;
  #failures = 0;
  /** Not tried again before. */
  #retryMs = 0;
  #closed = false;

  constructor(options: RenewalOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#wake = options.wake ?? wakeLater;
  }

  /** From now on looks after a certificate. */
  keep(certificate: Certificate): void {
    if (this.#closed) return;
    const dueMs = Math.max(renewalMs(certificate), this.#retryMs);
    const waitMs = Math.min(Math.max(0, dueMs - this.#now()), longestNapMs);
    this.#cancel = this.#wake(() => void this.#check(certificate), waitMs);
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  async #check(certificate: Certificate): Promise<void> {
    const now = this.#now();
    if (this.#closed) return;
    if (!needsRenewal(certificate, now) || now < this.#retryMs) return this.keep(certificate);
    try {
      const renewed = await this.#options.order();
      this.#failures = 0;
      this.#retryMs = 0;
      this.#options.onCertificate(renewed);
      this.keep(renewed);
    } catch (error) {
      this.#failed(error, certificate);
      this.keep(certificate);
    }
  }

  #failed(error: unknown, { untilMs }: Certificate): void {
    if (this.#closed) return;
    this.#failures += 1;
    const waitMs = retryMs(this.#failures);
    this.#retryMs = this.#now() + waitMs;
    this.#options.logger.error("acme.failed", {
      message: messageOf(error),
      retryInMs: waitMs,
      until: new Date(untilMs).toISOString(),
    });
  }
}

/** 30 s, a minute, two … up to six hours. */
function retryMs(failures: number): number {
  return Math.min(firstRetryMs * 2 ** Math.min(failures - 1, 20), longestRetryMs);
}

function wakeLater(work: () => void, ms: number): () => void {
  const timer = setTimeout(work, ms);
  timer.unref();
  return () => clearTimeout(timer);
}
