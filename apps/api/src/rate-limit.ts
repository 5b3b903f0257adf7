import type { onRequestAsyncHookHandler } from "fastify";
import { RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";
import { callerOf } from "./authentication.ts";
import { Problem } from "./problem.ts";

/**
 * Refuses a tenant's requests beyond `requestsPerMinute`. Counted in this process: the limit must hold, and not
 * fail, while Redis is away, and it costs no round trip.
 */
export function limitRate(requestsPerMinute: number): onRequestAsyncHookHandler {
  const limiter = new RateLimiterMemory({ points: requestsPerMinute, duration: 60 });
  return async (request) => {
    try {
      await limiter.consume(callerOf(request).tenant);
    } catch (refusal) {
      if (!(refusal instanceof RateLimiterRes)) throw refusal;
      throw new Problem("rate-limited", `at most ${requestsPerMinute} requests a minute`, {
        headers: { "retry-after": String(Math.max(1, Math.ceil(refusal.msBeforeNext / 1000))) },
      });
    }
  };
}
