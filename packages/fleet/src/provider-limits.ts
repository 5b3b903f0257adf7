import type { Logger } from "@flotilla/runtime";
import type { ModelLimits } from "@flotilla/workflow";
import { RateLimiterRedis, RateLimiterRes } from "rate-limiter-flexible";
import type { Connection } from "./connection.ts";
import { fleetTag } from "./keys.ts";

/** The window of all limits, in s. */
const duration = 60;

export interface ProviderLimitsOptions {
  /** Calls a minute, of the whole fleet; no limit unless given. */
  requestsPerMinute?: number;
  /** Tokens a minute, in and out; no limit unless given. */
  tokensPerMinute?: number;
  logger: Logger;
}

/**
 * What model providers give in a minute, counted in Redis for all workers. A call is counted before it is made, its
 * tokens when it has told them: what is under way when they are used up may go beyond. While Redis is away nothing is
 * counted and nothing is held up.
 */
export class ProviderLimits implements ModelLimits {
  readonly #options: ProviderLimitsOptions;
  #requests: RateLimiterRedis | undefined;
  #tokens: RateLimiterRedis | undefined;

  constructor(options: ProviderLimitsOptions) {
    this.#options = options;
  }

  /** From now on it counts, over that connection. */
  share(connection: Connection): void {
    const { requestsPerMinute, tokensPerMinute } = this.#options;
    const limiter = (name: string, points: number | undefined) =>
      points === undefined
        ? undefined
        : new RateLimiterRedis({ storeClient: connection, keyPrefix: `${fleetTag}:${name}`, points, duration });
    this.#requests = limiter("requests", requestsPerMinute);
    this.#tokens = limiter("tokens", tokensPerMinute);
  }

  async take(provider: string): Promise<number> {
    try {
      const spent = await this.#tokens?.get(provider);
      if (spent && spent.consumedPoints >= (this.#options.tokensPerMinute ?? Infinity)) return spent.msBeforeNext;
      await this.#requests?.consume(provider);
      return 0;
    } catch (error) {
      // What it throws for a limit that is reached is no error of its.
      if (error instanceof RateLimiterRes) return error.msBeforeNext;
      this.#options.logger.debug({ err: error, provider }, "a call is not counted");
      return 0;
    }
  }

  async spent(provider: string, tokens: number): Promise<void> {
    try {
      await this.#tokens?.penalty(provider, tokens);
    } catch (error) {
      this.#options.logger.debug({ err: error, provider, tokens }, "tokens are not counted");
    }
  }
}
